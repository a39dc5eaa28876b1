// Follows a job, and shows its page again when it has ended. Without JavaScript the page reloads itself.

const bar = document.querySelector("#progress");
const INTERVALS = [500, 1000, 2000, 5000]; // milliseconds; the last one repeats

async function follow(number) {
  if (!document.hidden) {
    const response = await fetch(bar.dataset.url, { credentials: "same-origin" }).catch(() => null);
    if (response && !response.ok) return location.reload(); // logged out, or deleted
    const job = response && await response.json();
    if (job && !job.active) return location.reload();
    if (job && job.total) Object.assign(bar, { max: job.total, value: job.done });
  }
  setTimeout(follow, INTERVALS[Math.min(number, INTERVALS.length - 1)], number + 1);
}

follow(0);
