# shellcheck shell=bash
# Sourced: what takes longer than make test has time for, in parts of less than forty minutes on two cores. e2e leaves them out
# unless they are named, extended takes them one by one.

declare -A parts=(
  [faults-1]='^TestFaults$/^cri-o$'
  [faults-2]='^TestFaults$/^docker$'
  [damage]='^(TestDamage|TestTenOperators|TestPluginGone)$'
  [pairs]='^TestPairs$'
  [random-1]='^TestRandomFaults$'
  [random-2]='^TestRandomFaults$'
  [nodelife]='^(TestSourceCantStart|TestDiskFullAtDeadline|TestDriftBeforeConfirm|TestAgentKilledInStaging)$|^TestSocketDirectories$/^docker$'
  [away]='^(TestAPIServerAway|TestAPIServerLongAway|TestClockJumps)$'
)
# In this order: what says most soonest first.
# shellcheck disable=SC2034 # for those who source this
order=(nodelife damage pairs random-1 faults-1 faults-2 random-2 away)

# longer prints what is in any of the parts, as a pattern.
longer() {
  local IFS='|'
  echo "${parts[*]}"
}
