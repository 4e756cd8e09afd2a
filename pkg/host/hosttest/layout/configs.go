package layout

const containerdV1 = `# Maintained by the platform team. Talk to us before changing it.
oom_score = -999

[debug]
  level = "warn"

[plugins.cri]
  sandbox_image = "@PAUSE@"
  # logs are cut by the kubelet
  max_container_log_line_size = 262144
  [plugins.cri.containerd]
    default_runtime_name = "runc"
    [plugins.cri.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.cri.containerd.runtimes.runc.options]
        SystemdCgroup = true
  [plugins.cri.registry]
    [plugins.cri.registry.mirrors]
      [plugins.cri.registry.mirrors."docker.io"]
        endpoint = ["https://mirror.corp.example"]
`

const containerdV2Mirrors = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = -999

[grpc]
  max_recv_message_size = 16777216

[metrics]
  address = ""

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "@PAUSE@"   # mirrored nightly
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["https://mirror.corp.example"]
`

const containerdV2 = `# explicitly use v2 config format
version = 2

[plugins."io.containerd.grpc.v1.cri".containerd]
  # save disk space when using a single snapshotter
  discard_unpacked_layers = true
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "@PAUSE@"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
`

const containerdV3 = `version = 3
root = '/var/lib/containerd'
imports = ['/etc/containerd/conf.d/*.toml']

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'

  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '@PAUSE@'

  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
`

const containerdV4 = `version = 4
imports = ['/etc/containerd/conf.d/*.toml']

[plugins.'io.containerd.server.v1.metrics']
  address = '127.0.0.1:1338'   # scraped by the node's agent

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '@PAUSE@'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
`

// dockerContainerd is what Docker's packages ship.
const dockerContainerd = `#   Copyright 2018-2022 Docker Inc.

#   Licensed under the Apache License, Version 2.0 (the "License");
#   you may not use this file except in compliance with the License.

disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
#state = "/run/containerd"
#subreaper = true
#oom_score = 0

#[grpc]
#  address = "/run/containerd/containerd.sock"
#  uid = 0
#  gid = 0
`

// debianContainerd is what Debian's package ships.
const debianContainerd = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd"
`

// restingContainerd is what somebody printed once and never touched.
const restingContainerd = `version = 2
imports = []

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "@PAUSE@"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = ""
      SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = ""
`

const oldCRIO = `# The CRI-O configuration file specifies all of the available configuration
# options and command-line flags for the crio(8) daemon.
[crio]

[crio.api]
listen = "/var/run/crio/crio.sock"

[crio.runtime]
# The default runtime to use.
default_runtime = "runc"
conmon_cgroup = "system.slice"
cgroup_manager = "systemd"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/bin/runc"
runtime_type = "oci"
runtime_root = "/run/runc"

[crio.network]
network_dir = "/etc/cni/net.d/"
plugin_dirs = [
	"/opt/cni/bin/",
]
`

const packagedCRIO = `[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "@RUNTIME@"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/bin/crun"
runtime_root = "/run/crun"
monitor_path = "/usr/bin/conmon"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/bin/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/bin/conmon"
`

const siteCRIO = `# Site configuration. 10-crio.conf belongs to the package.
[crio.runtime]
pids_limit = 4096
default_ulimits = ["nofile=65536:65536"]

# the GPU team's handler
[crio.runtime.runtimes.nvidia]
runtime_path = "/usr/bin/nvidia-container-runtime"
runtime_type = "oci"
`

const siteRegistries = `unqualified-search-registries = ["docker.io"]

# Pull-through cache in the data centre; the hub itself is the fallback.
[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "mirror.corp.example"

[[registry]]
location = "registry.lab.example:5000"
insecure = true
`

const siteDocker = `{
  "exec-opts": ["native.cgroupdriver=systemd"],
  "log-driver": "json-file",
  "log-opts": {"max-size": "100m", "max-file": "3"},
  "registry-mirrors": ["https://mirror.corp.example"],
  "insecure-registries": ["registry.lab.example:5000", "10.30.0.0/16"],
  "default-ulimits": {
    "nofile": {"Name": "nofile", "Soft": 65536, "Hard": 65536}
  },
  "live-restore": true,
  "bip": "192.168.231.1/24"
}
`
