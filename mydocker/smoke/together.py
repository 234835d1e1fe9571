"""A case with those that it needs, or that need it, run for a program that is not ours, as alone.py runs one by itself.

The batch is a fresh interpreter, for it forks its workers and takes signals. It gets the cases as a pickle, and gives
back the results as one.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys

from mydocker import kernel
from mydocker.errors import HostError
from mydocker.record import TYPE_CHECKING
from mydocker.smoke.batch import Batch, Limits
from mydocker.smoke.schedule import with_needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.smoke.case import Case, Result

_PROGRAM = "import sys; sys.path += sys.argv[1:]; from mydocker.smoke.together import main; main()"


def examine_together(case: Case, *, environ: Mapping[str, str]) -> Result:
    """The verdict on CASE. Raises HostError if the batch was killed."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [here, *(os.path.abspath(place) for place in sys.path if place)]
    words = [sys.executable, "-I", "-S", "-c", _PROGRAM, *path]
    request = pickle.dumps((with_needed([case]), os.getpid()))
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ), start_new_session=True
    ) as batch:
        try:
            raw, _ = batch.communicate(request)
        except BaseException:
            batch.send_signal(signal.SIGINT)  # it ends all that it runs
            raise
    if not raw:
        raise HostError("the batch was killed before it could tell")
    results: list[Result] = pickle.loads(raw)
    return next(result for result in results if result.case.key == case.key)


def main() -> None:
    """Be the batch: cases on standard input, results on standard output."""
    cases, parent = pickle.load(sys.stdin.buffer)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before we asked to be told
        os._exit(1)
    results = [*Batch(cases, limits=Limits(jobs=len(os.sched_getaffinity(0))), environ=os.environ).results()]
    sys.stdout.buffer.write(pickle.dumps(results))
