"""Metrics of the invoicer."""

from prometheus_client import Counter, Gauge, Histogram

CHARGES = Counter("tollgate_invoicer_charges_total", "Charge versions taken over.")
INVOICES = Counter(
    "tollgate_invoices_finalised_total", "Invoices finalised, by currency.", ["currency"]
)
ADJUSTMENTS = Counter(
    "tollgate_invoice_adjustments_total", "Invoice lines that correct an earlier invoice."
)
LEFT_OUT = Counter("tollgate_run_tenants_left_out_total", "Tenants that a run could not invoice.")
RUN_FAULTS = Counter("tollgate_run_faults_total", "Faults that stopped a run for the moment.")
OPEN_RUNS = Gauge("tollgate_runs_open", "Runs that this process drives.")
RUN_SECONDS = Histogram(
    "tollgate_run_seconds",
    "From the request of a run to its end, in seconds.",
    buckets=(1, 2, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600),
)
RENDER_SECONDS = Histogram(
    "tollgate_invoice_render_seconds",
    "Time to render one PDF, in seconds.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
