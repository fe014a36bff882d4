"""HTTP calls that leave the product, to agents and to webhooks: one total deadline, public targets only."""

from app.outbound.client import Outbound
from app.outbound.replies import Reply, raise_for_status

__all__ = ["Outbound", "Reply", "raise_for_status"]
