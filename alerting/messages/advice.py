"""What a message says beside what happened: what the system does about it, what a person should do, and how it ended.

Each sentence is the short form of the alert's runbook; a notice that tells what was done in this case wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from alerting.messages.times import span_text
from app.domain import alerts
from app.domain.alerts import Alert, Severity
from app.domain.plain_text import excerpt


@dataclass(frozen=True)
class Advice:
    """The sentences on one alert."""

    #: What the system does by itself.
    action: str
    #: What a person should do while it fires.
    advice: str
    #: Title of the recovery: labels of the subject stand in it in braces, and `{span}` is how long it lasted.
    recovered: str
    #: What is left to do after the recovery.
    after: str = "Nothing."

    def recovery_title(self, subject: Mapping[str, str], lasted: timedelta) -> str:
        """Return the title of a recovery; a label that is missing is told by its name."""
        return self.recovered.format_map(_Filling(subject) | {"span": span_text(lasted)})


class _Filling(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"unknown {name}"

    def __or__(self, other: Mapping[str, str]) -> _Filling:  # type: ignore[override]
        return _Filling({**self, **other})


def advice_on(alert: str, summary: str) -> Advice:
    """Return what to say about an alert; on one that is not ours, that it ended is all that we know."""
    found = ADVICE.get(alert)
    if found is not None:
        return found
    title = excerpt(summary, 200).replace("{", "{{").replace("}", "}}")
    return Advice(
        action="",
        advice="This alert is none of the product's own: ask whoever wrote its rule, or follow its runbook.",
        recovered=f"Over after {{span}}: {title}",
    )


def _burning(advice: Advice, *burning: Alert) -> Iterator[tuple[Alert, Advice]]:
    """Yield the same advice for all alerts on one objective; who need not come now is told so."""
    sentence = advice.advice[0].lower() + advice.advice[1:]
    later = replace(advice, advice=f"Within the working day: {sentence}")
    for alert in burning:
        yield alert, advice if alert.severity is Severity.CRITICAL else later


_BY_ALERT: Mapping[Alert, Advice] = {
    alerts.QUEUE_BACKED_UP: Advice(
        "Every job is kept in the database; workers take the oldest first, and hints that were lost are sent again.",
        "Wait if the queue gets shorter. Else start another worker (marketplace worker), or open the circuit of a slow"
        " agent.",
        "Queue {queue} is no longer backed up after {span}",
    ),
    alerts.QUEUE_DRAINS_SLOWLY: Advice(
        "Every job is kept in the database; workers take what they can, oldest first. Nothing else makes it shorter.",
        "Start more workers (marketplace worker), and stop the source if it is a mistake.",
        "Queue {queue} gets shorter again after {span}",
    ),
    alerts.QUEUE_STALLED: Advice(
        "Every job is kept in the database. A worker whose threads hang ends itself and is"
        " started again; its leases are taken back.",
        "Restart the workers, one after the other. If Redis answers nobody, see to Redis first.",
        "Queue {queue} moves again after {span}",
    ),
    alerts.QUEUE_PAUSED: Advice(
        "Nothing: a pause ends when a person ends it. No job is lost, and the time does not count for any.",
        "Ask who paused it (marketplace queue show tells), and resume it when the reason is gone:"
        " marketplace queue resume --reason ...",
        "Queue {queue} is no longer paused with jobs waiting",
    ),
    alerts.NO_WORKERS: Advice(
        "Every job is kept in the database and waits for a worker. None is lost.",
        "Start a worker now: marketplace worker. If it ends at once, marketplace config validate and marketplace db"
        " status tell why.",
        "Workers are back after {span}, and jobs of {queue} start",
    ),
    alerts.WORKERS_SATURATED: Advice(
        "One agent gets half of the threads at most; jobs that find it busy are put off without counting a failure.",
        "Start another worker (marketplace worker), or open the circuit of an agent that is slow.",
        "Workers have free threads for {kind} again after {span}",
    ),
    alerts.DEAD_LETTERS_GROWING: Advice(
        "Errors that may pass were retried and fallbacks tried first; then the job was kept as a dead letter with its"
        " whole history.",
        "Read the error, mend its cause, then retry or discard the letter: marketplace dead-letters list --since 1h",
        "No new dead letters of {kind} jobs ({error_class}); those that came wait for a decision",
        after="Decide on the letters that came: marketplace dead-letters list --since 1h",
    ),
    alerts.JOBS_UNACCOUNTED: Advice(
        "The scheduler makes missing jobs and writes missing letters; other losses nobody repairs silently.",
        "Save the evidence first (marketplace queue archive loss.ndjson --failed-since 24h), then stop whatever deletes"
        " or edits rows.",
        "No loss of the kind {loss} is found any more after {span}",
        after="Find out what was lost, and tell the sellers: follow the runbook.",
    ),
    alerts.STUCK_PLANS: Advice(
        "The scheduler looks every two seconds and has mended what it can; what is still stuck after a minute needs a"
        " person.",
        "See stuckPlans and recommendations in the diagnostics; workers and a scheduler must run.",
        "No plan is stuck ({cause}) any more after {span}",
    ),
    alerts.CIRCUIT_OPENED: Advice(
        "The agent is not called; its last good answers stand in. After a minute single calls probe it, and two that"
        " succeed close the circuit.",
        "Mend the agent or tell its provider; marketplace breakers show AGENT has the last error. When it is well again"
        " there is nothing to do.",
        "The circuit of {agent} is closed again after {span}",
    ),
    alerts.ALL_CIRCUITS_OPEN: Advice(
        "No agent is called; analyses consist of stored answers or are empty. Each circuit probes its agent once its"
        " minute is over.",
        "Look at what all agents share: our network, name resolution, proxy, certificates, a secret.",
        "Not all circuits are open any more after {span}",
        after="Circuits of single agents may still be open: marketplace breakers list",
    ),
    alerts.CIRCUIT_FLAPPING: Advice(
        "The circuit closes only after two probes that succeed, and retries have a budget; neither ends the flapping.",
        "Keep it open while the agent is mended: marketplace breakers open AGENT --for 30m --reason flaps",
        "The circuit of {agent} no longer opens and closes all the time",
        after="See in marketplace breakers show AGENT whether it stayed closed.",
    ),
    alerts.REFUSALS_SLOW: Advice(
        "Nothing: a refused call asks neither Redis nor the agent, and reads the last good answer from the database.",
        "Look at the database and at the processor of the workers.",
        "Refused calls to {agent} are answered quickly again after {span}",
    ),
    alerts.REDIS_DOWN: Advice(
        "Approvals run in place, and the scheduler runs what is due. No job is lost, and all goes back to the queue"
        " when Redis answers.",
        "Bring Redis back; an empty server will do. Restart nothing else.",
        "Redis answers again after {span}",
    ),
    alerts.REDIS_POOL_EXHAUSTED: Advice(
        "Connections that were opened are kept. Below the limit nothing is wrong yet; at it, a thread waits up to 5 s.",
        "See whether Redis is slow; else raise MARKETPLACE_REDIS__POOL_MAX_CONNECTIONS and restart the process.",
        "{instance} has room for Redis connections again after {span}",
    ),
    alerts.DATABASE_DOWN: Advice(
        "Processes wait and go on when it is back; requests are answered with 503. What was approved before is safe.",
        "Bring the database back; do not delete lock files or restore a backup before you know what is wrong.",
        "The database answers again after {span}",
        after="Watch marketplace queue show for ten minutes: waiting jobs are worked off.",
    ),
    alerts.SYNC_FALLBACK_ACTIVE: Advice(
        "Jobs run in place and by the scheduler, a few at a time. If Redis is the reason, this ends by itself.",
        "See who switched and why (marketplace mode show, marketplace queue show); a mode that a person chose stays"
        " until a person changes it.",
        "Jobs run by the queue again after {span}",
    ),
    alerts.UNEXPECTED_ERRORS: Advice(
        "The process goes on, and the error is in its log with the traceback. A job that met it became a dead letter.",
        "Read the traceback in the log; since a deployment, roll it back.",
        "No more unexpected errors in {place}",
        after="Report the traceback: it is a defect.",
    ),
    alerts.TARGET_DOWN: Advice(
        "Jobs of a dead worker run again on another one within seconds; make run and Kubernetes start a process again.",
        "See whether the process runs and answers (marketplace status); start it again, or mend the way to it.",
        "{job} {instance} is back after {span}",
    ),
    alerts.METRICS_ABSENT: Advice(
        "Levels whose source does not answer in time are left out of a scrape; they come back by themselves.",
        "See whether the process tells the metric (/api/metrics) and whether Prometheus scrapes it; until then, silence"
        " is no sign of health.",
        "Metric {metric} is there again after {span}",
    ),
    alerts.WATCHDOG: Advice(
        "The relay expects this alert every minute, and says so when it does not come.",
        "Nothing: it shows that alerts arrive.",
        "The watchdog ended after {span}",
        after="See whether Prometheus still has our rules.",
    ),
    alerts.MONITORING_BLIND: Advice(
        "The pipeline still tells of jobs, plans and circuits itself; alerts of Prometheus do not arrive.",
        "See that Prometheus and Alertmanager run and that Alertmanager reaches the relay; until then look at"
        " marketplace status by hand.",
        "Monitoring sees again after {span}",
        after="What happened meanwhile was not told: look at the dashboards for that time.",
    ),
    alerts.RELAY_DEGRADED: Advice(
        "What cannot be sent is in the log at once, is kept, and is sent when the way is free again.",
        "Look at the alerts in Alertmanager until it works; the relay's log says what is wrong: alert_message has what"
        " Slack was not told.",
        "Alerts get through again ({problem}) after {span}",
        after="Nothing: what waited has come as a digest.",
    ),
    alerts.RELAY_BACKLOG: Advice(
        "Messages are kept and sent as fast as Slack allows; many that wait become one digest.",
        "See whether Slack is slow or down; the relay's log has every message at once.",
        "No message waits for Slack any more, after {span}",
    ),
    **dict(
        _burning(
            Advice(
                "Errors that may pass were retried and fallbacks tried; these jobs failed for good and are kept as"
                " dead letters.",
                "Find the one cause of most letters (marketplace dead-letters list --since 6h), mend it or roll back,"
                " then retry them.",
                "Job success: its budget no longer burns too fast, after {span}",
                after="Retry the dead letters: marketplace dead-letters retry --error-class recoverable --since 6h",
            ),
            alerts.JOB_SUCCESS_BURN_FAST,
            alerts.JOB_SUCCESS_BURN_SLOW,
            alerts.JOB_SUCCESS_BURN_DAY,
            alerts.JOB_SUCCESS_BURN_THREE_DAYS,
        )
    ),
    **dict(
        _burning(
            Advice(
                "An agent that is slower than usual runs into its timeout, and gets half of the threads at most.",
                "See whether jobs wait (start another worker) or run long (a slow agent, or pauses between retries):"
                " marketplace queue show",
                "Job latency: its budget no longer burns too fast, after {span}",
            ),
            alerts.JOB_LATENCY_BURN_FAST,
            alerts.JOB_LATENCY_BURN_SLOW,
            alerts.JOB_LATENCY_BURN_DAY,
            alerts.JOB_LATENCY_BURN_THREE_DAYS,
        )
    ),
    **dict(
        _burning(
            Advice(
                "Every request has a deadline; without Redis, approvals run in place.",
                "Roll back if it began with a deployment; else see the database (503) or unexpected errors (500).",
                "Availability: its budget no longer burns too fast, after {span}",
            ),
            alerts.AVAILABILITY_BURN_FAST,
            alerts.AVAILABILITY_BURN_SLOW,
            alerts.AVAILABILITY_BURN_DAY,
            alerts.AVAILABILITY_BURN_THREE_DAYS,
        )
    ),
}
#: By the name of the alert.
ADVICE: Mapping[str, Advice] = {alert.name: advice for alert, advice in _BY_ALERT.items()}
