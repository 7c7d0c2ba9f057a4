/* The fastest supervisor for seccomp user notification that we can write, to compare the recorder with.
 *
 * supervisor RESULT COMMAND...: run COMMAND under a filter that notifies every system call, let each pass, count by
 * number, write "number count" lines to RESULT, and end with COMMAND's status. It does only that: no labels, no other
 * architectures, nobody to take over when it is killed. Two ioctls a call: no poll before RECV, and SYNC_WAKE_UP
 * (Linux 6.6), with which the kernel switches from the caller to the supervisor and back on one processor.
 * Sources: seccomp_unotify(2), kernel/seccomp.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { NUMBERS = 1024 };

static unsigned long counts[NUMBERS];

static void fail(const char *what)
{
	perror(what);
	exit(125);
}

/* Before Linux 6.11 RECV waits for ever once nobody is left: interrupt it each second from the command's end on. */
static void ended(int signal_number)
{
	(void)signal_number;
	alarm(1);
}

static void interrupt_when_ended(void)
{
	struct sigaction action = { .sa_handler = ended }; /* without SA_RESTART */

	sigaction(SIGCHLD, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

static void run_filtered(char **command, volatile int *listener)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF) };
	struct sock_fprog program = { .len = 1, .filter = code };
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("prctl");
	int got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	if (got < 0 && errno == EINVAL)
		got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (got < 0)
		fail("seccomp");
	/* A store, no system call: from here on each of those waits for the supervisor. */
	*listener = got;
	execvp(command[0], command);
	_exit(127);
}

static void serve(int listener)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		fail("seccomp");
	size_t request_size = sizes.seccomp_notif, response_size = sizes.seccomp_notif_resp;
	if (request_size < sizeof(struct seccomp_notif))
		request_size = sizeof(struct seccomp_notif);
	if (response_size < sizeof(struct seccomp_notif_resp))
		response_size = sizeof(struct seccomp_notif_resp);
	struct seccomp_notif *request = calloc(1, request_size);
	struct seccomp_notif_resp *response = calloc(1, response_size);
	if (!request || !response)
		fail("calloc");
	response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;

	for (;;) {
		memset(request, 0, request_size); /* EINVAL otherwise */
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request)) {
			struct pollfd hangup = { .fd = listener };

			if (poll(&hangup, 1, 0) == 1 && hangup.revents & POLLHUP)
				return;
			continue;
		}
		response->id = request->id;
		if (!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, response) && (unsigned)request->data.nr < NUMBERS)
			counts[request->data.nr]++;
	}
}

static void write_result(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail(path);
	for (int number = 0; number < NUMBERS; number++)
		if (counts[number])
			fprintf(file, "%d %lu\n", number, counts[number]);
	if (fclose(file))
		fail(path);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: supervisor RESULT COMMAND...\n");
		return 125;
	}
	volatile int *listener = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (listener == MAP_FAILED)
		fail("mmap");
	*listener = -1;
	interrupt_when_ended();
	/* A fork that shares the table of descriptors until its execve: the listener is ours as well. */
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		fail("clone");
	if (pid == 0)
		run_filtered(argv + 2, listener);
	int status = 0;
	while (*listener < 0)
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
	/* Fails before Linux 6.6: then it is slower. */
	ioctl(*listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	serve(*listener);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	write_result(argv[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
