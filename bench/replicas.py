"""Measures what a request costs with one, two and three containers of web: CPU time of the tier's containers."""

from bench.image import run
from bench.tiers import PAGE, PROJECT, ROUNDS, SECONDS, Tier, Visitors, running_tier

LIMIT = 1.2  # times the cost with one container
# Microseconds of cgroup v2, or nanoseconds of v1.
CPU = """
sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat 2>/dev/null ||
  sed 's/...$//' /sys/fs/cgroup/cpuacct/cpuacct.usage
"""


def read_cpu() -> float:
    """Return the CPU seconds that all containers of the tier have used."""
    containers = run("docker", "ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    return sum(float(run("docker", "exec", one, "sh", "-c", CPU)) for one in containers) / 1e6


def measure(tier: Tier, replicas: int) -> float:
    """Return milliseconds of CPU time per request."""
    tier.compose("up", "--detach", "--wait", "--no-deps", "--scale", f"web={replicas}", "web")
    visitors = Visitors(tier)
    visitors.through_nginx(PAGE)  # warms up
    started = read_cpu()
    requests = sum(visitors.through_nginx(PAGE) * SECONDS for _ in range(ROUNDS))
    return (read_cpu() - started) / requests * 1000


def main() -> None:
    with running_tier() as tier:
        costs = {replicas: measure(tier, replicas) for replicas in (1, 2, 3)}
    print("containers of web   CPU per request, ms   ratio")
    for replicas, cost in costs.items():
        print(f"{replicas:17} {cost:21.2f} {cost / costs[1]:7.2f}")
    print("met" if costs[3] / costs[1] <= LIMIT else f"MISSED: the limit is {LIMIT}")


if __name__ == "__main__":
    main()
