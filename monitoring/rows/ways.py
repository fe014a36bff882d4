"""Where panels lead to: the other dashboards, and the API's pages for operators, which have the ids."""

from __future__ import annotations

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.links import api, detail

OVERVIEW_BOARD = detail(Board.OVERVIEW, "Overview")
QUEUE_BOARD = detail(Board.QUEUE_AND_JOBS, "Queue and jobs")
AGENTS_BOARD = detail(Board.AGENTS_AND_BREAKERS, "Agents and breakers")
RUNTIME_BOARD = detail(Board.REDIS_AND_RUNTIME, "Redis and runtime")
OBJECTIVES_BOARD = detail(Board.SLO_AND_SLA, "SLO and SLA")
PIPELINE_BOARD = detail(Board.ALERT_PIPELINE, "Alert pipeline")

DIAGNOSTICS_API = api("/marketplace/diagnostics", "Diagnosis, with ids")
DEAD_LETTERS_API = api("/marketplace/dead-letters", "Dead letters, with ids")
TASKS_API = api("/marketplace/tasks", "Tasks, with ids")
JOBS_API = api("/marketplace/jobs", "Jobs, with ids")
QUEUES_API = api("/marketplace/queue", "Queues")
BREAKERS_API = api("/marketplace/breakers", "Circuits")
MODE_API = api("/marketplace/mode", "Mode")
WEBHOOKS_API = api("/marketplace/webhooks", "Webhooks")
READY_API = api("/health/ready", "Readiness")

#: Behind the cells of a column `Alert`: the runbook of the one that the cell names.
RUNBOOK_OF_ALERT = {"targetBlank": True, "title": "Runbook", "url": "${runbooks}/${__data.fields.Alert}"}
