/* A program that does nothing and waits: what the floor keeps in its jails. No C library. */
#include <sys/syscall.h>

void _start(void);
void _start(void)
{
	for (;;) {
		long r = SYS_pause;
		__asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
	}
}
