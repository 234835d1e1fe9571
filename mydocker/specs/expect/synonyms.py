"""Other names for the keywords of `expect`, so that the error for an unknown keyword can suggest the right one.

From goss, container-structure-test, Docker, Kubernetes and test frameworks. Used only when a keyword is unknown.
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEANT = {  # mydocker's keyword <- other names, without case, blanks, - and _
    "exit_code": "status exit exitstatus code rc returncode retcode result errorcode statuscode ret",
    "stdout": "log logs output out standardoutput expectedoutput print prints text body response contains",
    "stderr": "err error errors standarderror expectederror",
    "duration": "time elapsed runtime took seconds wall latency maxduration maxtime",
    "max_memory": "memory mem maxmem rss maxrss memoryusage peakmemory memlimit ram",
    "timed_out": "timeout timedout hangs hung",
    "oom_killed": "oom oomkill outofmemory killed",
    "within": "wait waitfor waitfortimeout eventually deadline retry retries until sleep poll after",
    "files": "file fileexistencetests filecontenttests filesystem path paths exists mounts",
    "changes": "changed diff modified writes written change",
    "metadata": "image metadatatest config env labels label entrypoint cmd user workdir inspect volumes environment",
    "ports": "port listen listens listening addr expose exposedports tcp",
    "process": "processes ps proc running program programs",
    "http": "url urls request requests https get web endpoint endpoints httpget curl",
    "health": "healthy healthcheck healthstatus readiness ready",
    "exec": "command commands commandtests run cmds execs shell script scripts check checks",
    "equal": "equals eq is be same exactly exact ==",
    "contain-substring": "contains contain include includes substring has like in containssubstring containstext",
    "contain-element": "containselement haselement anyline line includeselement",
    "contain-elements": "containselements haspatterns havepatterns consistof lines elements havekey",
    "match-regexp": "matches match regex regexp pattern matchregex matchesregex re",
    "have-len": "len length haslength havelength count size",
    "have-prefix": "startswith prefix startwith beginswith starts begins hasprefix",
    "have-suffix": "endswith suffix endwith ends hassuffix",
    "semver-constraint": "semver version versionconstraint",
    "gjson": "json jsonpath jq jmespath",
    "gt": "greater greaterthan more morethan above over >",
    "ge": "gte min atleast minimum greaterorequal >=",
    "lt": "less lessthan below under <",
    "le": "lte max atmost maximum lessorequal <=",
    "not": "no none isnot ne != notequal notcontains doesnotcontain notmatch excludes without",
    "and": "all allof every",
    "or": "any anyof oneof either some",
    "path": "name filename filepath location",
    "type": "filetype kind isdirectory",
    "mode": "perm perms permission permissions chmod",
    "owner": "uid user username chown",
    "group": "gid groupname",
    "contents": "content contains text expectedcontents data matches has",
    "sha256": "hash checksum digest sha256sum sha",
    "exists": "exist shouldexist present",
    "size": "bytes length",
    "only": "allow allowed exactly all",
    "include": "includes contain contains added must",
    "exclude": "excludes not none forbidden mustnot without",
    "env": "environment envvars variables vars",
    "labels": "label annotations",
    "cmd": "command args",
    "exposed_ports": "ports expose exposed port",
    "workdir": "workingdir cwd dir",
    "status": "code statuscode exitcode response",
    "headers": "header responseheaders",
    "body": "content contents text response json output contains stdout",
    "method": "verb",
    "request-headers": "requestheader",
    "request-body": "data payload requestdata post",
    "allow-insecure": "insecure verify skipverify tlsverify k",
    "no-follow-redirects": "followredirects redirects redirect follow",
    "username": "user login",
    "command": "cmd run exec args argv script",
}


def meant(text: str, known: Iterable[str]) -> str | None:
    """The one of the KNOWN keywords that TEXT means: one of which it is another name, or else the most similar one."""
    from mydocker.nearest import nearest

    choices = [*known]
    plain = _plain(text)
    near = [choice for choice in choices if _plain(choice) == plain]
    near += [choice for choice in choices if plain in _MEANT.get(choice, "").split()]
    return near[0] if near else nearest(text, choices)


def _plain(text: str) -> str:
    return text.lower().replace("-", "").replace("_", "").replace(" ", "")


def unknown_keyword(text: str, known: Iterable[str]) -> str:
    """The error message for TEXT, with the keyword that is probably meant and a short list of those that are known."""
    from mydocker.nearest import suggested

    choices = [*known]
    return f"unknown key {text!r}" + suggested(meant(text, choices)) + f" (known: {', '.join(choices)})"
