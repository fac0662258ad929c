#include "cmd.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define MOST_SECRET 65536  /* bytes; registry tokens run to a few kB */

struct options {
	struct cmd_common common;
	const char *username;
	bool password_stdin;
};

/* A name and a password; wiped when it leaves scope. */
struct secret {
	char name[256];
	char password[MOST_SECRET];
};

static void wipe(struct secret *secret)
{
	explicit_bzero(secret, sizeof(*secret));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int read_stdin(struct secret *secret, struct vn_err *err)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(secret->password)) {
		n = read(STDIN_FILENO, secret->password + len, sizeof(secret->password) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return opt_fail(err, VN_EIO, NULL, "cannot read the password from standard input: %s", strerror(errno));
		if (!n)
			break;
		len += (size_t)n;
	}
	if (len == sizeof(secret->password))
		return opt_fail(err, VN_EUSAGE, NULL, "the password on standard input is longer than %d bytes",
				MOST_SECRET - 1);
	if (len && secret->password[len - 1] == '\n')
		len--;
	if (len && secret->password[len - 1] == '\r')
		len--;
	secret->password[len] = '\0';
	if (strlen(secret->password) != len || !len)
		return opt_fail(err, VN_EUSAGE, NULL, "there is no password on standard input");
	return 0;
}

/* Signals and line editing are off while nothing is echoed, so that no way out leaves the terminal mute. */
static int read_hidden(int tty, char *into, size_t size, struct vn_err *err)
{
	struct termios before, mute;
	size_t len = 0;
	char c = '\0';
	int rc = 0;

	if (tcgetattr(tty, &before) < 0)
		return opt_fail(err, VN_EIO, NULL, "cannot prepare the terminal: %s", strerror(errno));
	mute = before;
	mute.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
	mute.c_cc[VMIN] = 1;
	mute.c_cc[VTIME] = 0;
	if (tcsetattr(tty, TCSAFLUSH, &mute) < 0)
		return opt_fail(err, VN_EIO, NULL, "cannot prepare the terminal: %s", strerror(errno));
	while (!rc) {
		ssize_t n = read(tty, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == 3 || c == 4)
			rc = opt_fail(err, VN_EUSAGE, NULL, "no password was given");
		else if (c == '\n' || c == '\r')
			break;
		else if (c == 127 || c == 8)
			len -= len > 0;
		else if (c == 21)
			len = 0;
		else if (len + 1 < size)
			into[len++] = c;
	}
	into[len] = '\0';
	tcsetattr(tty, TCSAFLUSH, &before);
	return rc;
}

static int tell(int tty, const char *text, struct vn_err *err)
{
	size_t len = strlen(text);

	return write(tty, text, len) == (ssize_t)len ? 0 : opt_fail(err, VN_EIO, NULL, "cannot write to the terminal");
}

static int ask_name(int tty, struct secret *secret, struct vn_err *err)
{
	ssize_t n;

	if (tell(tty, "Username: ", err) < 0)
		return -VN_EIO;
	do
		n = read(tty, secret->name, sizeof(secret->name) - 1);
	while (n < 0 && errno == EINTR);
	if (n <= 1)
		return opt_fail(err, VN_EUSAGE, NULL, "no username was given");
	secret->name[n] = '\0';
	secret->name[strcspn(secret->name, "\r\n")] = '\0';
	return 0;
}

static int ask(const struct options *options, struct secret *secret, struct vn_err *err)
{
	OUT_CLEANUP(close_fd) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (tty < 0)
		return opt_fail(err, VN_EUSAGE, "Give --username NAME and --password-stdin.",
				"there is no terminal to ask for the password on");
	if (!options->username && ask_name(tty, secret, err) < 0)
		return -(int)err->code;
	if (tell(tty, "Password: ", err) < 0)
		return -VN_EIO;
	rc = read_hidden(tty, secret->password, sizeof(secret->password), err);
	tell(tty, "\n", &(struct vn_err){ 0 });
	if (!rc && !secret->password[0])
		rc = opt_fail(err, VN_EUSAGE, NULL, "no password was given");
	return rc;
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	OUT_CLEANUP(wipe) struct secret secret = { 0 };
	CMD_AUTO_FREE char *where = NULL;
	CMD_AUTO_VN vn = NULL;
	const char *name;
	int rc;

	if (options->password_stdin && !options->username)
		return opt_fail(err, VN_EUSAGE, NULL, "--password-stdin needs --username NAME");
	rc = options->password_stdin ? read_stdin(&secret, err) : ask(options, &secret, err);
	if (rc < 0)
		return rc;
	name = options->username ? options->username : secret.name;
	if (cmd_open(call, NULL, NULL, &vn, err) < 0 ||
	    vn_login(vn, call->args[0], name, secret.password, &where, err) < 0)
		return -(int)err->code;
	return cmd_put_credentials(call, "login", "Logged in to ", "; kept in ", where);
}

#define AT(field) offsetof(struct options, field)
static const struct opt own[] = {
	{ "username", 'u', OPT_TEXT, AT(username), "NAME", "who logs in; asked for when missing", NULL },
	{ "password-stdin", 0, OPT_FLAG, AT(password_stdin), NULL, "read the password from standard input", NULL },
	{ 0 },
};
static const struct opt_positional args[] = {
	{ "REGISTRY", "its host name, with :PORT when it has one", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { own, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer login edge.example.io", "asks for name and password" },
	{ "veneer login -u ci --password-stdin edge.example.io < token", "from a script" },
	{ 0 },
};

const struct vn_cmd cmd_login = {
	.name = "login",
	.summary = "check credentials against a registry, and keep them",
	.about = "Check a name and a password against a registry, and keep them where Docker and podman keep theirs: in the "
		 "credential helper that the configuration names, or in the credential file. A password is never an argument: "
		 "other users could see it.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
