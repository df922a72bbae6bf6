"""The addresses of the pages and of their buttons."""

from django.urls import path, re_path

from jobs.pages import mapping_views
from jobs.pages.history import views as history
from jobs.pages.notices import views as notices
from jobs.pages.one_run import run_views
from jobs.pages.one_run import views as one_run
from jobs.pages.one_run.report_files import evidence_file, report_file
from jobs.pages.rollback import views as rollbacks
from jobs.pages.rows import views as row_views
from jobs.pages.verifications import views as verifications

app_name = "jobs"

urlpatterns = [
    path("", run_views.home, name="home"),
    path("mappings/<slug:name>/review/", mapping_views.review, name="review"),
    path("reviews/<int:pk>/live/", mapping_views.review_live, name="review-live"),
    path("mappings/<slug:name>/ask/", mapping_views.ask, name="ask"),
    path("mappings/<slug:name>/start/", mapping_views.start, name="start"),
    path("mappings/<slug:name>/rehearse/", mapping_views.rehearse, name="rehearse"),
    path("rehearsals/<int:pk>/", mapping_views.rehearsal, name="rehearsal"),
    path("mappings/<slug:name>/export/", mapping_views.export, name="export"),
    path("mappings/<slug:name>/plan/", mapping_views.plan, name="plan"),
    path("mappings/<slug:name>/revisions/", mapping_views.revisions, name="revisions"),
    path("mappings/<slug:name>/verifications/", verifications.verifications, name="verifications"),
    path("mappings/<slug:name>/verifications/line/", verifications.short_line, name="verifications-line"),
    path(
        "mappings/<slug:name>/verifications/schedule/", verifications.schedule, name="verifications-schedule"
    ),
    path("history/", history.history, name="history"),
    path("history.csv", history.export, {"form": "csv"}, name="history-csv"),
    path("history.json", history.export, {"form": "json"}, name="history-json"),
    path("notices/", notices.notices, name="notices"),
    path("notices/save/", notices.save, name="notices-save"),
    path("notices/news/", notices.fetch, name="notices-news"),
    path("notices/<int:pk>/retry/", notices.retry, name="notices-retry"),
    path("promotion/", mapping_views.promotion, name="promotion"),
    path("runs/", run_views.runs, name="runs"),
    path("runs/<int:pk>/", run_views.run, name="run"),
    path("runs/<int:pk>/live/", run_views.live, name="live"),
    path("runs/<int:pk>/chunks/", one_run.chunks, name="chunks"),
    path("runs/<int:pk>/chunk/", one_run.chunk, name="chunk"),
    path("runs/<int:pk>/log/", one_run.log, name="log"),
    path("runs/<int:pk>/report/", run_views.report, name="report"),
    path("runs/<int:pk>/report/differences/", row_views.differences, name="differences"),
    path("runs/<int:pk>/report/repair/", row_views.repair_rows, name="repair-rows"),
    path("runs/<int:pk>/report/repair/start/", row_views.start_repair, name="start-repair"),
    path("runs/<int:pk>/verify/identical/", row_views.verify_identical, name="verify-identical"),
    path("runs/<int:pk>/row/", row_views.row, name="row"),
    path("runs/<int:pk>/report.json", report_file, {"form": "json"}, name="report-json"),
    path("runs/<int:pk>/evidence.json", evidence_file, name="evidence"),
    re_path(r"^runs/(?P<pk>\d+)/report\.(?P<form>csv|xlsx)$", report_file, name="report-file"),
    path("runs/<int:pk>/quarantine/", run_views.quarantine, name="quarantine"),
    path("runs/<int:pk>/throttle/", run_views.throttle, name="throttle"),
    path("runs/<int:pk>/pause/", run_views.pause, name="pause"),
    path("runs/<int:pk>/resume/", run_views.resume, name="resume"),
    path("runs/<int:pk>/cancel/", run_views.cancel, name="cancel"),
    path("runs/<int:pk>/retry/", run_views.retry, name="retry"),
    path("runs/<int:pk>/repair/", run_views.repair, name="repair"),
    path("runs/<int:pk>/verify/", run_views.verify, name="verify"),
    path("runs/<int:pk>/rollback-proof/", rollbacks.proof, name="rollback-proof"),
    path("runs/<int:pk>/rollback.json", rollbacks.proof_json, name="rollback-json"),
    path("runs/<int:pk>/rollback/", rollbacks.rollback, name="rollback"),
    path("runs/<int:pk>/roll-back/", rollbacks.roll_back, name="roll_back"),
]
