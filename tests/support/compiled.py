"""Programs in C whose system calls are known, or do not vary from run to run."""

import subprocess
from pathlib import Path


def static_program(folder: Path, calls: int) -> Path:
    """A program without a C library that makes `calls` getppid, and exit."""
    program = folder / f"static_{calls}"
    source = program.with_suffix(".c")
    source.write_text(
        f"""
        #include <sys/syscall.h>
        static long call(long number, long argument) {{
        #if defined(__x86_64__)
            long result;
            __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(argument) : "rcx", "r11", "memory");
            return result;
        #elif defined(__aarch64__)
            register long x8 __asm__("x8") = number;
            register long x0 __asm__("x0") = argument;
            __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8) : "memory");
            return x0;
        #endif
        }}
        void _start(void) {{
            for (int made = 0; made < {calls}; made++)
                call(SYS_getppid, 0);
            call(SYS_exit, 0);
        }}
        """
    )
    subprocess.run(["gcc", "-O1", "-static", "-nostdlib", "-o", str(program), str(source)], check=True)
    return program


def family(folder: Path) -> Path:
    """A program that starts others in each way that C has, one after the other, and waits for each."""
    program = folder / "family"
    source = program.with_suffix(".c")
    source.write_text(
        """
        #include <dirent.h>
        #include <spawn.h>
        #include <stdlib.h>
        #include <sys/wait.h>
        #include <unistd.h>

        extern char **environ;
        static char *const TRUE[] = {"true", NULL};

        static void family(int generations, int pipe_end)
        {
            pid_t child = fork();
            if (child == 0) {
                if (generations > 1)
                    family(generations - 1, pipe_end);
                for (int made = 0; made < 10 * generations; made++)
                    getppid();
                write(pipe_end, "1", 1);
                _exit(0);
            }
            waitpid(child, NULL, 0);
        }

        int main(void)
        {
            int ends[2];
            char text[3];
            pipe(ends);
            family(3, ends[1]);
            read(ends[0], text, sizeof text);
            pid_t child;
            posix_spawn(&child, "/bin/true", NULL, NULL, TRUE, environ);
            waitpid(child, NULL, 0);
            if (vfork() == 0)
                execv("/bin/true", TRUE);
            wait(NULL);
            if (fork() == 0)
                execv("/does/not/exist", TRUE), _exit(1);
            wait(NULL);
            DIR *directory = opendir("/");
            while (readdir(directory))
                ;
            closedir(directory);
            free(calloc(1, 10 << 20));
            return 0;
        }
        """
    )
    subprocess.run(["gcc", "-w", "-o", str(program), str(source)], check=True)
    return program
