// Package rollout takes nodes through a change of their runtime, one safe transaction each: it joins what the API
// server does (cluster), the pod on the node (hostpod) and the pure decisions (plan, check) into the ten steps of a
// switch, and leaves nothing behind at any end.
//
// It never writes to a stream: what happens is told through the report callback. It may import cluster, hostpod, plan,
// check, runtimes, kubelet and apis; never ui or cobra.
package rollout
