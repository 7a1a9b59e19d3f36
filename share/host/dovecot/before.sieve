# For everybody, before the user's own rules: what the filter marked goes into Junk.
require ["fileinto", "mailbox"];
if anyof (header :contains "X-Spam-Flag" "YES", header :is "X-Spam" "Yes") {
	fileinto :create "Junk";
	stop;
}
