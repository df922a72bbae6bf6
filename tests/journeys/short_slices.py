"""Settings for workers that ring again after every second, as they otherwise do after a minute."""

from migrator_site.settings import *  # noqa: F403

RING_SECONDS = 1
