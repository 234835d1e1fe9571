"""Spec files that say everything that can be said: each key, each form of it, each kind of expectation."""

from __future__ import annotations

_TABLE = """\
name: "no: $V"
labels: {a: 'no', b: '', c: "x\\ny\\n", d: ~}
environment: {A: 22:22, B: "0644", C: $$D, E: '${V}', F: "trailing \\nlines"}
entrypoint: a b
command: [c, "d $$E", '']
---
build: .
pull_policy: build
---
build:
  context: ctx
  dockerfile: ../Dockerfile
  args: {A: b, C: ''}
  target: t
  labels: [l=m]
  tags: [other:1]
  platforms: [linux/arm64]
  no_cache: true
  pull: false
  cache_from: [example.org/cache]
  cache_to: ['type=local,dest=c']
  additional_contexts: {x: 'docker-image://y', z: dir}
  secrets: [{source: s, file: f}]
  ssh: [default, key=id]
  network: none
  extra_hosts: {h: 10.0.0.1}
  shm_size: 64m
  ulimits: {nofile: 5}
  privileged: true
  entitlements: [network.host]
  isolation: chroot
  provenance: mode=max
  sbom: "true"
---
command: []
---
entrypoint: []
---
command: [a]
args: [b]
platform: linux/arm64
pull_policy: never
user: 0:staff
group_add: [audio, 5]
umask: "027"
expand: true
pre_start: [[a, "b $$C"], "sh -c 'x y'", {command: [d]}]
post_start: [[a, "b $$C"], {command: c d, user: "7:8", working_dir: /e, environment: [F=g, HOME]}]
pre_stop: [a b]
working_dir: /srv
timeout: 1h1m1.5s
stop_signal: RTMIN+3
stop_grace_period: 250ms
stdin: "text $$"
init: true
domainname: example.org
dns_search: [a.example, b.example]
dns_opt: 'ndots:2'
hostname: h
---
tty: true
stdin_open: true
privileged: true
stop_signal: INT
userns_mode: keep-id:uid=5,gid=6
uidmap: ["0:100000:10", "+10:5:1"]
gidmap: ["0:100000:10"]
subuidname: a
subgidname: b
stop_grace_period: 0
---
volumes:
- /a:/b:ro,rslave
- /a:/aa:ro,rslave,idmap=uids=0-1-1;gids=0-1-1
- data:/bb:nocopy,idmap
- ./x y:/c:O
- data:/d:ro,nocopy
- cache:/e:O,nocopy
- /f
- {type: bind, source: "/g:h", target: "/h:i", bind: {recursive: disabled}}
- {type: volume, source: data, target: /j, volume: {subpath: k}}
- {type: tmpfs, target: /l, tmpfs: {size: 1m, mode: "1755"}}
- {type: volume, target: /p, read_only: true, volume: {driver_opts: {type: nfs, device: ":/x", o: "addr=a,soft"}}}
volumes_from: [container:x, "container:y:ro"]
tmpfs: [/m, "/n:size=1m,mode=700,uid=1,gid=2,nr_inodes=5,exec,suid,ro", "/o:exec"]
configs:
- {source: app.conf, content: "a $$b\n"}
- {target: /etc/x, environment: HOME, mode: "0400", uid: 5, gid: 6}
- {source: y, target: /etc/y, file: profile.json}
secrets:
- {source: key, content: "k"}
- {target: sub/z, file: profile.json, mode: 0440}
shm_size: 2g
read_only: true
devices: ["/dev/null:/dev/nix", vendor.com/class=name]
gpus: [{driver: nvidia, device_ids: ["0", "1"], capabilities: [gpu]}, {driver: amd, count: 2}, {count: all}]
runtime: nvidia
device_cgroup_rules: ["c 189:* rmw", "a *:7 rw"]
inject: [/bin/sh]
---
network_mode: none
extra_hosts: ["a:1.2.3.4", "a:::1", "b=1.2.3.4"]
dns: [1.1.1.1]
sysctls: {net.core.somaxconn: 5}
cap_add: [NET_ADMIN]
cap_drop: [ALL]
ulimits: {nofile: {soft: 5, hard: -1}, nproc: 7}
mem_limit: 64m
oom_score_adj: -5
memswap_limit: -1
cpus: 0.25
cpuset: 0-2,5
pids_limit: 9
mem_reservation: 32m
mem_swappiness: 0
oom_kill_disable: true
cpu_shares: 512
blkio_config: {weight: 300, weight_device: [{path: /dev/a, weight: 20}], device_read_bps: [{path: /dev/a, rate: 1m}]}
---
cpu_quota: 50000
cpu_period: 20000
pull_policy: every_2d
pid: container:x
ipc: container:y
---
ports: [80, "8080-8081:80-81/udp", "127.0.0.1:5:6", "[::1]::7", {target: 9, published: 10}]
---
ports: [80]
namespaces: {pid: host}
---
networks: [front, back]
publish_all: true
expose: [80, "53/udp", 90-92]
---
networks: {front: {aliases: [web], ipv4_address: 10.90.0.5, gw_priority: 1}, back: {priority: 5}}
---
networks: [front]
ip: 10.90.0.6
ip6: fd00::6
mac_address: 02:42:0a:5a:00:06
---
network_mode: container:other
---
aliases: [db, store]
---
namespaces: []
---
namespaces: {net: private, pid: host}
---
pid: host
ipc: host
cgroup: host
label_file: [profile.json]
---
security_opt:
  ["seccomp=profile.json", no-new-privileges, "apparmor=x", "label=level:s0:c1", systempaths=unconfined, "mask=/a:/b",
   "unmask=/c"]
---
security_opt: [seccomp=unconfined]
---
name: other
depends_on: {"no: v": {condition: service_healthy, required: false, restart: true, bound: true}}
healthcheck: {test: [CMD, a, $$b], interval: 1m, timeout: 1.5s, start_period: 5s, retries: 3, on_failure: kill}
profiles: [p]
restart: on-failure:3
logging: {driver: local, options: {max-size: 10m, max-file: 3}}
tags: [t]
skip: yes
retries: 2
---
restart: {condition: any, max_attempts: 3, delay: 1.5s, burst: 2, interval: 9s}
healthcheck: {disable: true}
matrix: {A: [1, no], B: ["x$V"]}
environment: {A: $A, B: $B}
---
expect:
  exit_code: [0, 3, TERM]
  stdout: "exact $$text"
  stderr: [part, "!absent", "/^re$$/", "!/x/", {have-len: 3}, {not: {or: [{have-prefix: a}, {have-suffix: b}]}}]
  files:
  - {path: /a, type: file, mode: "644", owner: root, group: 5, contents: [a, "!b"], size: {gt: 3, lt: 9}}
  - {path: /a, exists: false}
  - {path: /b, mode: {match-regexp: ^0}, contents: "", size: 5, sha256: SHA256}
  metadata:
    env: {A: b, C: ~, D: {match-regexp: x}}
    labels: {l: [a, "!b"]}
    entrypoint: []
    cmd: [a, $$b]
    exposed_ports: [80, "!53/udp"]
    volumes: ["!/x"]
    user: u
    workdir: {have-prefix: /}
  changes: {only: [], include: [/a/**], exclude: [/b]}
  duration: {lt: 1m30s, ge: 10ms}
  max_memory: {lt: 64m}
  timed_out: false
  oom_killed: false
  ports: {"tcp:80": listening, 81/udp: closed, tcp6:82: {listening: true, ip: ["::", "::1"]}}
  process: {nginx: running, sh: {running: false}}
  http:
    http://localhost/$$: {status: 200, headers: ["a: b", "!c"], body: {have-len: 3}}
    http://localhost/b:
      {status: {lt: 500}, method: post, request-headers: ["A: b$$"], request-body: "x\ny", timeout: 3s,
       no-follow-redirects: true, allow-insecure: true, username: u, password: $$p}
  within: 20s
---
networks:
  front: {aliases: [a, b], ipv4_address: 10.5.0.9, ipv6_address: "fd00::9", interface_name: lan0, gw_priority: 1}
  back:
    priority: 5
    create:
      {internal: true, enable_ipv6: yes, labels: [a=1], driver: bridge, driver_opts: {b: 2}, attachable: true,
       ipam: {config: [{subnet: 10.5.0.0/24, gateway: 10.5.0.1, ip_range: 10.5.0.128/25}, {subnet: "fd00::/64"}]}}
mac_address: 02:42:ac:11:00:02
aliases: [c]
publish_all: true
expose: [80, 81-82/udp]
extra_hosts: ["h:host-gateway"]
ports: ["8000-8010:80"]
---
network_mode: bridge
ip: 10.88.0.9
ip6: fd00::8
---
networks: [one, two]
---
network_mode: container:web
---
network_mode: default
networks: {one: {create: {external: true}}}
---
expect: {process: {a: running}}
---
expect:
  health: healthy
  exec:
  - {command: [app, --version], exit_code: [0, 1], stdout: ["2.", "!$$x"], stderr: "", duration: {lt: 5s}, timeout: 3s}
  - {command: app "$$HOME"}
  - {command: [a], timed_out: true}
---
expect:
  exit_code: {not: {ge: 3}}
  max_memory: {not: {gt: 5}}
  stdout:
    gjson: {a: "1", b: 1, c: 1.50, d: true, e: ~, f: [1, x, [~], {have-len: 1}], g: {equal: {h: [~, "true"]}}}
    not: {gjson: {i: {contain-element: {gt: 2}}, j: {contain-elements: [1, {have-len: 2}]}}}
    semver-constraint: ">=1.2 <2"
    contain-element: {match-regexp: a}
    contain-elements: [a, b]
"""

EVERYTHING = tuple(f"image: alpine\n{text}" for text in _TABLE.replace("SHA256", "a1" * 32).split("---\n"))
