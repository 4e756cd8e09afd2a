package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// TestWaitResidents: a DaemonSet that is deleted, or on its way out, brings no pod back; one that can't be asked for, or whose pod alone is
// missing, may.
func TestWaitResidents(t *testing.T) {
	const log = "DaemonSet kube-system/log"
	timeout := mirrorTimeout
	mirrorTimeout = 200 * time.Millisecond
	defer func() { mirrorTimeout = timeout }()
	for name, tt := range map[string]struct {
		residents []string
		pod       bool // its pod is there, under the runtime of before
		owner     bool
		deleting  bool
		forbid    bool
		anew      bool
		away      int // requests for the DaemonSet that fail
		missed    string
	}{
		"there":                   {residents: []string{log}, pod: true, owner: true, missed: log},
		"there, without an owner": {residents: []string{log}, pod: true, missed: log},
		"deleted":                 {residents: []string{log}},
		"being deleted":           {residents: []string{log}, owner: true, deleting: true},
		"its pod is gone":         {residents: []string{log}, owner: true, missed: log},
		"asked again":             {residents: []string{log}, away: 2},
		"forbidden":               {residents: []string{log}, owner: true, forbid: true, missed: log},
		"a manifest is gone":      {residents: []string{"static pod kube-system/etcd"}},
		"a mirror pod made anew":  {residents: []string{"static pod kube-system/etcd"}, anew: true, missed: "static pod kube-system/etcd"},
		"nobody":                  {},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t)
			if tt.pod {
				p := resident1("log", "DaemonSet", true, "x")
				p.TypeMeta, p.Spec.NodeName = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, "n"
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{ContainerID: "docker://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
				s.Put("pods", &p)
			}
			if tt.owner {
				d := &appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "log"}}
				if tt.deleting {
					now := metav1.Now()
					d.DeletionTimestamp, d.Finalizers = &now, []string{metav1.FinalizerDeleteDependents}
				}
				s.Put("apps/daemonsets", d)
			}
			if tt.forbid {
				s.Forbid("get apps/daemonsets")
			}
			if tt.anew {
				time.AfterFunc(mirrorTimeout/2, func() {
					p := resident1("etcd", "static", false, "x")
					p.TypeMeta, p.Spec.NodeName = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, "n"
					s.Put("pods", &p)
				})
			}
			fails := tt.away
			s.Before(func(_ string, r *http.Request) error {
				if strings.Contains(r.URL.Path, "/daemonsets/") && fails > 0 {
					fails--
					return errors.New("etcd is away")
				}
				return nil
			})
			limit := 10 * time.Second
			if tt.missed != "" {
				limit = 600 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := WaitResidents(ctx, s.Client(), "n", tt.residents, "cri-o", func(string) {})
			if tt.missed == "" && err != nil {
				t.Error(err)
			}
			if tt.missed != "" && (err == nil || !strings.Contains(err.Error(), "not Ready under cri-o: "+tt.missed)) {
				t.Errorf("%v, want %s", err, tt.missed)
			}
		})
	}
}

// TestReadResidents asks again while the API server is away.
func TestReadResidents(t *testing.T) {
	s := apitest.New(t)
	for _, ready := range []bool{true, false} {
		p := resident1(map[bool]string{true: "log", false: "broken"}[ready], "DaemonSet", ready, "x")
		p.TypeMeta, p.Spec.NodeName = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, "n"
		s.Put("pods", &p)
	}
	fails := 1
	s.Before(func(string, *http.Request) error {
		if fails--; fails >= 0 {
			return errors.New("etcd is away")
		}
		return nil
	})
	have, err := ReadResidents(t.Context(), s.Client(), "n")
	if err != nil || len(have) != 1 || have[0] != "DaemonSet kube-system/log" {
		t.Errorf("%v, %v", have, err)
	}
}
