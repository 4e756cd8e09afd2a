//go:build e2e

package photo

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	// endpointRule is about one endpoint of a Service somewhere in the cluster: kube-proxy names it by a hash over the
	// pod's address, and the same rules stand on every node.
	endpointRule = regexp.MustCompile(`KUBE-SEP-[A-Z0-9]{16}`)
	// podChain is what CNI's masquerade and port mapping make for one container.
	podChain = regexp.MustCompile(`CNI-(?:DN-|SN-)?[0-9a-f]{21,24}\b`)
	counters = regexp.MustCompile(`\[[0-9]+:[0-9]+\]`)
)

// takeFilter sees the packet filter's rules without their counters and without what follows from pods' addresses. A
// chain of a pod that is gone is an orphan.
func takeFilter(ctx context.Context, m Machine, living *tenants, p *Photo) error {
	for _, family := range []string{"iptables", "ip6tables"} {
		out, err := m.Run(ctx, family+"-save 2>/dev/null")
		if err != nil {
			return err
		}
		rules, chains := filterRules(string(out))
		for rule, n := range rules {
			p.set(family, rule, strconv.Itoa(n))
		}
		if len(chains) > len(living.byIP) {
			p.orphan("%d chains of pods in %s for %d pods with an address", len(chains), family, len(living.byIP))
		}
	}
	return nil
}

// filterRules counts the rules of a dump, and returns the chains of single pods apart.
func filterRules(dump string) (rules map[string]int, chains map[string]bool) {
	rules, chains = map[string]int{}, map[string]bool{}
	table := ""
	for line := range strings.Lines(dump) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line == "COMMIT":
			continue
		case line[0] == '*':
			table = line[1:]
			continue
		case endpointRule.MatchString(line):
			continue
		}
		if podChain.MatchString(line) {
			if line[0] == ':' {
				name, _, _ := strings.Cut(line[1:], " ")
				chains[name] = true
			}
			continue
		}
		rules[fmt.Sprintf("%s %s", table, strings.TrimSpace(counters.ReplaceAllString(line, "")))]++
	}
	return rules, chains
}
