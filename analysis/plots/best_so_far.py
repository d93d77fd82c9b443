"""The best score so far, against the epochs and the time that the search used."""

from analysis.formatting import count, percent
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, in_view, set_accuracy_scale
from analysis.plots.style import BLUE, FAINT, STAR, add_legend, new_figure
from analysis.plots.titles import set_titles, trial_title
from analysis.results.cost import search_cost
from analysis.results.progress import finishes, sweep_curve
from analysis.results.selection import best_trial


def draw_best_so_far(results: Results) -> Picture:
    """Draw the best score so far, against epochs and against time."""
    found = best_trial(results.ledger)
    if found is None:
        raise NothingToDrawError("no trial has run all its epochs")
    data, cost = finishes(results.ledger), search_cost(results.ledger)
    scores = [finish.score for finish in data]
    epochs, best = sweep_curve(results.ledger)
    winner = [finish.trial_id for finish in data].index(found.trial.trial_id)
    final = percent(found.score)
    note = f"{results.about_score} {AXIS_NOTE}"
    trials = results.ledger.trials
    if n := sum(trial.outcome == "preview" for trial in trials.values()):
        note += f" Not drawn: {count(n, 'preview')}, whose epochs and time count, too."
    n_images = results.ledger.data.n_validation
    shown = in_view(scores, n_images)
    drawn = [i for i, score in enumerate(scores) if score >= min(shown)]
    if n := len(scores) - len(drawn):
        note += f" Not drawn: {count(n, 'trial')} far below."
    about = f"{results.about_search} · best: trial {data[winner].trial_id}, {final}"
    figure = new_figure(4.2, about, note, legend_rows=1)
    left, right = figure.subplots(1, 2, sharey=True)
    # The unit that gives numbers of two or three digits.
    unit, name = (3600, "hours") if cost.elapsed_s >= 3 * 3600 else (60, "minutes")
    if cost.elapsed_s < 180:
        unit, name = 1, "seconds"
    times = [*(finish.seconds / unit for finish in data), cost.elapsed_s / unit]
    for axes, used in ((left, epochs), (right, times)):
        set_accuracy_scale(axes, "y", shown, n_images)
        label = f"trials that ran all their epochs ({len(scores):,} of {len(trials):,})"
        x, y = [used[i] for i in drawn], [scores[i] for i in drawn]
        (dots,) = axes.plot(x, y, ls="", marker="o", ms=4, color=FAINT, label=label)
        set_titles(dots, (trial_title(trials[data[i].trial_id]) for i in drawn))
        axes.step(used, best, where="post", color=BLUE, label="best so far")
        (star,) = axes.plot(used[winner], best[-1], **STAR, label="best trial")
        set_titles(star, trial_title(found.trial))
        axes.set_xlim(0, used[-1] * 1.03)
    left.set(xlabel="epochs of all trials", ylabel="validation accuracy (%)")
    right.set(xlabel=f"{name}, without pauses")
    add_legend(figure, left.get_lines())
    alt = (
        f"The best validation accuracy rises from {percent(best[0])} to {final}, reached by trial "
        f"{data[winner].trial_id} after {data[winner].epochs:,} of {cost.epochs:,} epochs."
    )
    return Picture(figure, alt)
