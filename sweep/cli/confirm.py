"""`sweep confirm`."""

from typing import Annotated

import typer

from sweep.cli.options import (
    DEFAULT_STORAGE,
    AddressOption,
    ConcurrencyOption,
    DataOption,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    say,
)
from sweep.cli.screen.formatting import count


def confirm(
    name: NameArgument = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=100, help="How many finalists.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=1000, help="Runs of each arm.")] = None,
    address: AddressOption = None,
    concurrency: ConcurrencyOption = None,
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Compare the finalists with the baselines on the test images, over fresh seeds."""
    from sweep.cli.fetch import load_data
    from sweep.cli.summary import best_document, print_result
    from sweep.cli.work import at_work, finish
    from sweep.config import Confirm, SweepConfig
    from sweep.driver.missing import find_missing

    folder, ledger = find_sweep(storage, name)
    best_document(folder, ledger)  # that nothing can be confirmed is told before Ray starts
    config = SweepConfig.model_validate(ledger.config)
    default = config.confirm or Confirm()
    plan = Confirm(top_k=top_k or default.top_k, seeds=seeds or default.seeds)
    if not find_missing(folder, ledger, config.model_copy(update={"confirm": plan})).runs:
        say(f"all of it is confirmed already for {ledger.name}")
        print_result(folder, ledger, as_json=as_json)
        return
    from sweep.driver.confirm import run_confirmation
    from sweep.driver.session import describe_start

    start = describe_start(config.resources, address=address, concurrency=concurrency)
    mnist = load_data(data)
    say(f"confirming {ledger.name}: {count(plan.seeds, 'seed')} an arm, {start}")
    again = f"confirm --top-k {plan.top_k} --seeds {plan.seeds}"
    with at_work(folder, config, address=address, concurrency=concurrency, again=again) as session:
        run_confirmation(session, config, ledger, plan=plan, mnist=mnist)
    finish(folder, ledger, as_json=as_json)
