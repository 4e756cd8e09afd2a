// Package cluster is the API server's side of a switch: which nodes, whether we may, whose turn it is, cordon and
// drain, annotations and Events, and waiting until the API server shows that a node is well.
//
// It never writes to a stream, doesn't know of the pod on the node (hostpod) and imports apis alone of this project.
package cluster
