<?php
// Tells Dovecot, before the login, whose browser asks.
class newgate_client extends rcube_plugin
{
    public function init()
    {
        $this->add_hook('storage_connect', function ($args) {
            $args['preauth_ident']['x-originating-ip'] = rcube_utils::remote_addr();
            return $args;
        });
    }
}
