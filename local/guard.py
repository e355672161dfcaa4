"""Nothing started here may outlive the process that started it, not even when that is killed."""

import subprocess

_ON_END = "read -r _; kill {pid} && for _ in 1 2 3 4 5; do kill -0 {pid} || exit; sleep 1; done; kill -9 {pid}"


class Guard:
    """A shell that reads a pipe which only we hold open. When the pipe ends, so have we: the child gets SIGTERM,
    and SIGKILL five seconds later."""

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _ON_END.format(pid=pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """The child is gone or someone else's business. Safe to call twice."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
