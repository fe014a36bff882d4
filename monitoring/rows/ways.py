"""Where panels lead to: the other dashboards, and the API's pages for operators, which have the ids."""

from __future__ import annotations

from monitoring.panels.links import Board, api, detail

OVERVIEW_BOARD = detail(Board.OVERVIEW, "Overview")
QUEUE_BOARD = detail(Board.QUEUE, "Queue and jobs")
AGENTS_BOARD = detail(Board.AGENTS, "Agents and breakers")
RUNTIME_BOARD = detail(Board.RUNTIME, "Redis and runtime")
OBJECTIVES_BOARD = detail(Board.OBJECTIVES, "SLO and SLA")
PIPELINE_BOARD = detail(Board.ALERTS, "Alert pipeline")

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
