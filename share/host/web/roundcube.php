<?php
// Roundcube of the host @DOMAIN@. It talks to the jails dovecot and postfix as any mail program would,
// and tells them who its visitor is, so that failed logins are counted against the right address.
$config = [];
$config['db_dsnw'] = 'sqlite:////srv/roundcube/roundcube.db?mode=0600';
$config['des_key'] = trim(file_get_contents('/srv/roundcube/des_key'));
$config['product_name'] = 'Mail of @DOMAIN@';
$config['support_url'] = '';
$config['skin'] = 'elastic';
$config['plugins'] = ['archive', 'zipdownload', 'managesieve', 'newgate_client'];
$config['enable_spellcheck'] = false;
$config['log_driver'] = 'stdout';
$config['temp_dir'] = '/var/lib/roundcube/temp';
$config['max_message_size'] = '35M';
$config['use_https'] = true;
$config['session_samesite'] = 'Lax';
$config['session_lifetime'] = 60;
$config['ip_check'] = false;
$tls = ['ssl' => [
    // The host's own certificate, which it shows until the authority's arrives; or one of Debian's.
    'cafile' => '/etc/tls/ca.pem',
    'capath' => '/etc/ssl/certs',
    'peer_name' => '@HOSTNAME@',
    'verify_peer' => true,
]];
// Who leaves the domain out means this one.
$config['username_domain'] = '@DOMAIN@';
$config['imap_host'] = 'ssl://dovecot:993';
$config['imap_conn_options'] = $tls;
$config['smtp_host'] = 'tls://postfix:587';
$config['smtp_conn_options'] = $tls;
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['smtp_helo_host'] = 'web.@DOMAIN@';
$config['smtp_xclient_addr'] = true;
$config['managesieve_host'] = 'tls://dovecot:4190';
$config['managesieve_conn_options'] = $tls;
$config['managesieve_default'] = '';
$config['drafts_mbox'] = 'Drafts';
$config['sent_mbox'] = 'Sent';
$config['junk_mbox'] = 'Junk';
$config['trash_mbox'] = 'Trash';
$config['archive_mbox'] = 'Archive';
