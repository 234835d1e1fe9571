"""Containers from Python:  python examples/from_python.py  (as root, or as a user with ids in /etc/subuid)

Nothing is downloaded: the containers are copy-on-write views of this machine.
"""

from concurrent.futures import ThreadPoolExecutor

import mydocker


def main() -> None:
    outcome = mydocker.run(None, "sh", "-c", "echo hello; echo oops >&2; exit 3", rootfs="/")
    print(f"exit code {outcome.exit_code}, stdout {outcome.stdout!r}, stderr {outcome.stderr!r}")

    outcome = mydocker.run(None, "sleep", "60", rootfs="/", timeout=0.2, stop_grace_period=0.1)
    print("timed out" if outcome.timed_out else "in time")

    try:
        mydocker.run(None, "nonesuch", rootfs="/")
    except mydocker.CommandNotFoundError as error:
        print(f"not run: {error}")

    try:
        mydocker.run(None, ["sh", "-c", "cat >&2; exit 4"], rootfs="/", input="what it reads", check=True)
    except mydocker.ContainerError as error:
        print(f"failed with {error.exit_code}: {error.stderr}")

    with ThreadPoolExecutor() as pool:  # one container per number, several at once
        outcomes = pool.map(lambda n: mydocker.run(None, "expr", str(n), "*", str(n), rootfs="/"), range(1, 5))
        print("squares:", *(outcome.stdout.strip() for outcome in outcomes))


if __name__ == "__main__":
    main()
