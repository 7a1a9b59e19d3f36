# For everybody, before the user's own rules.
require ["date", "duplicate", "fileinto", "index", "mailbox", "variables", "vnd.dovecot.execute"];

# Where Postfix is killed before it has noted that a letter is here, or Dovecot before it has said so,
# Postfix delivers it once more. A letter is known by what Postfix wrote into it when it came, with the
# time and a number of its own, below the line that Dovecot writes. /etc/host/stored looks into the
# mailbox, which no letter needs that came in this minute, but in the one in which Dovecot started.
if header :index 2 :matches "Received" "*" {
	set "received" "${1}";
	if currentdate :zone "+0000" :matches "std11" "*, ?? *:*:*" {
		set "minute" "*; ${1}, * ${4}:${5}:*";
	}
	if anyof (duplicate :handle "stored" :uniqueid "${received}" :seconds 86400,
		allof (not allof (string :matches "${received}" "${minute}",
				not string :matches "${received}" "*; STARTED:*"),
			execute :input "${received}" "stored")) {
		discard;
		stop;
	}
}

# What the filter marked goes into Junk.
if anyof (header :contains "X-Spam-Flag" "YES", header :is "X-Spam" "Yes") {
	fileinto :create "Junk";
	stop;
}
