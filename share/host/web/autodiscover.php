<?php
// Outlook asks with the address in the body of a POST and wants it back as the login.
$request = (string) file_get_contents('php://input', false, null, 0, 65536);
$email = preg_match('~<EMailAddress>\s*([^<\s]+@[^<\s]+)\s*</EMailAddress>~i', $request, $found) ? $found[1] : '';
$email = htmlspecialchars($email, ENT_XML1 | ENT_QUOTES);
header('Content-Type: application/xml; charset=utf-8');
$server = function ($type, $port) use ($email) {
    return "<Protocol><Type>$type</Type><Server>@HOSTNAME@</Server><Port>$port</Port><SSL>on</SSL>"
        . "<SPA>off</SPA><AuthRequired>on</AuthRequired><LoginName>$email</LoginName></Protocol>";
};
echo '<?xml version="1.0" encoding="utf-8"?>' . "\n"
    . '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">'
    . '<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">'
    . '<Account><AccountType>email</AccountType><Action>settings</Action>'
    . $server('IMAP', 993) . $server('SMTP', 465)
    . "</Account></Response></Autodiscover>\n";
