// Package hostpod puts a privileged pod on a node, carries the agent there, talks with it, and takes the pod away again.
//
// What the pods look like is decided by pure functions (Build, BuildCanary, ChooseImage, Compare). The package never
// writes to a stream and doesn't know of pkg/cluster; of this project it imports apis, until and its own agentbin.
package hostpod
