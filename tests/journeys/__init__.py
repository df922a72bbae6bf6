"""What people and faults do to a run, on real processes and servers, each ending with `acceptance.broken`.

| fault | seen in |
| --- | --- |
| horse killed between insert and map, just after COMMIT; worker killed, frozen, told to stop | test_dying_workers |
| Redis flushed, away, away when Start is pressed; the same ring 100 times | test_redis_away |
| Start pressed twice, by two, by ten | test_buttons, tests/test_views.py |
| PostgreSQL stopped `-m immediate`: target, source, our own | test_servers_away |
| the connection cut during COMMIT; a network that swallows everything | test_cut_connections |
| sessions ended, deadlock, serialization failure | test_passing_troubles |
| locks on the target, while its schema is changed and while rows come | test_locked_targets |
| disk full, too many connections | test_no_room |
| a replica of the target that lags, that takes its place | test_lagging_replicas |
| a replica that lags takes the place of the source, or of the target, which forgot chunks | test_failovers |
| settings and encodings of the databases | test_odd_servers |
| frozen takeovers, a cancelled run that still writes, a target that was set back | test_takeovers |
| one poison row, only poison rows | test_poison_rows |
| the unique index's build killed | test_killed_steps |
| a rollback killed half-way; rows changed since; rows of others that depend | test_rollbacks |
| rows born, changed and gone while the copy runs | test_late_rows |
| all of it in any order, four workers | test_soak (SOAK_SEED=…, SOAK_FAULTS=…) |

What takes long is marked `faults` and runs in `make faults`.
"""
