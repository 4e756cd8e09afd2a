package cluster

import "time"

// DrainOptions are kubectl drain's own flags, with their meaning there. DaemonSet pods are always left alone.
type DrainOptions struct {
	// Force also deletes pods that no controller would bring back.
	Force bool
	// DeleteEmptyDirData also moves pods whose emptyDir volumes are lost by that.
	DeleteEmptyDirData bool
	// DisableEviction deletes instead of evicting: PodDisruptionBudgets are not asked.
	DisableEviction bool
	// GracePeriod overrides the pods' own; nil leaves them theirs.
	GracePeriod *time.Duration
	// Timeout bounds the whole drain; 0 is 10 minutes, negative is for ever.
	Timeout time.Duration
	// PodSelector narrows what is moved.
	PodSelector string
}
