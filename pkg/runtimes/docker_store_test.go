package runtimes

import (
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestDockerImagesInContainerd(t *testing.T) {
	tests := map[string]struct {
		version, json string
		want          bool
	}{
		"an older one":                  {version: "26.1.5"},
		"an older one that was told to": {version: "26.1.5", json: `{"features": {"containerd-snapshotter": true}}`, want: true},
		"a new one":                     {version: "29.0.0", want: true},
		"a new one that was told not":   {version: "29.0.0", json: `{"features": {"containerd-snapshotter": false}}`},
		"a new one with a graph driver": {version: "29.0.0", json: `{"storage-driver": "overlay2"}`},
		"a new one with a snapshotter":  {version: "29.0.0", json: `{"storage-driver": "overlayfs"}`, want: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &v1alpha1.Facts{
				Runtimes: []v1alpha1.RuntimeInfo{{Name: v1alpha1.Docker, Binaries: map[string]v1alpha1.Binary{"dockerd": {Path: "/usr/bin/dockerd", Version: tt.version}}}},
				Files:    []v1alpha1.File{{Path: dockerConfig, Type: v1alpha1.Regular, Content: tt.json}},
			}
			if got := DockerImagesInContainerd(f); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
