"""English."""

#: How a finding is put together, how sure it is, and a diagnosis as a whole.
FRAME = {
    "finding": "{name}, {where} ({sure}). {what} Why: {statistic} is {value}; {usual}, the "
    "line is at {threshold}.",
    "note": "{name}, {where}. {what}",
    "where": "updates {start} to {stop}",
    "where_one": "update {start}",
    "where_none": "of nothing",
    "verdict": "Verdict: {name} ({sure}), from {steps} updates.",
    "verdict_one": "Verdict: {name} ({sure}), from {steps} update.",
    "advice": "Next: {advice}",
    "certain": "certain",
    "very_sure": "very sure, {percent} %",
    "sure": "fairly sure, {percent} %",
    "unsure": "a guess, {percent} %",
    "rate": "The rate: too low {too_low} %, about right {good} %, too high {too_high} %.",
    "nothing": "Nothing stands out.",
}

#: Verdicts and notes.
NAMES = {
    "diverged": "The run diverged",
    "spiking": "The loss spikes",
    "lr_too_high": "The learning rate is too high",
    "lr_too_low": "The learning rate is too low",
    "oscillating": "The loss oscillates",
    "plateau": "The loss is on a plateau",
    "overfitting": "The model overfits",
    "healthy": "Healthy",
    "converged": "Converged",
    "not_enough_data": "Not enough data",
    "inconclusive": "Inconclusive",
    "nonfinite": "Losses that are not numbers",
    "still_falling": "Still falling",
    "falling": "Falling",
    "flat": "Flat",
    "settled": "Flat, with a rate that has decayed",
    "rising": "Rising",
    "never_fell": "It never fell",
    "gap": "Gaps in the steps",
    "unsorted_steps": "Steps out of order",
    "repeated_steps": "Repeated steps",
    "outside_steps": "Validation outside the run",
    "rate_jumps": "Jumps of the rate",
    "rate_unclear": "The rate is borderline",
}

#: What was seen, by code.
TEXT = {
    "diverged": "The loss went up and stayed there: it ended at {last}, after {best} at its best.",
    "nonfinite": "Losses that are inf or NaN: {count}, the first at update {first}.",
    "spiking": "{count} spikes stand far above the losses around them, one in {every} updates.",
    "lr_too_high": "The steps overshoot: they go further than the gradients are worth. {evidence}.",
    "lr_too_low": "Longer steps would have gained more. {evidence}.",
    "oscillating": "The loss goes up and down at every other update, more than noise does, and does "
    "not fall.",
    "plateau": "The loss fell to {last} and no longer changes; the steps go back and forth in the "
    "noise of the gradients.",
    "overfitting": "The validation loss was lowest, {minimum}, at update {at}, and has risen to "
    "{now} since, while the training loss fell.",
    "healthy": "The loss falls and nothing speaks against the rate.",
    "converged": "The loss has fallen to {last}, from {first}, and stays there.",
    "not_enough_data": "It takes {least} losses to tell a trend from noise; here: {steps}.",
    "inconclusive": "The numbers fit more than one explanation.",
    "still_falling": "The loss still falls about as fast as before: the rate may be low, or the run "
    "too short.",
    "falling": "The loss falls: by {change} over updates {start} to {stop}.",
    "flat": "The loss neither falls nor rises: it has converged, or the rate is too high to get "
    "further.",
    "settled": "The loss no longer changes, and the rate is less than a tenth of what it was: this is "
    "where the run ends.",
    "rising": "The loss rises: by {change} over updates {start} to {stop}.",
    "never_fell": "The loss ended where it began: the rate is far too low or far too high, "
    "nothing is trained, or there is nothing to learn.",
    "gap": "Gaps: {count}, the longest of {longest} steps, where {usual} is usual. The losses in "
    "between are not known.",
    "unsorted_steps": "Steps out of order: {count}; they were sorted.",
    "repeated_steps": "Steps that came again: {count}; the last value of each was kept.",
    "outside_steps": "Validation losses at steps that the log does not have: {count}; they were left "
    "out.",
    "rate_jumps": "Changes of the rate by more than a factor of 2 within few updates, as in a warm-up or "
    "at a step: {count}. Updates {start} to {stop} were judged.",
    "rate_unclear": "What the steps did fits more than one answer: too low {too_low} %, about right {good} %, "
    "too high {too_high} %. {evidence}.",
}

#: What was seen and what to do, by code and statistic or place, where they differ from the above.
SPECIAL = {
    "diverged by nonfinite": "Losses that are inf or NaN: {count}, the first at update {start}.",
    "still_falling by chance_too_low": "The loss still falls, in the way of a rate that is low or a run "
    "that is too short.",
    "diverged at once": "Use a third of the rate, or clip the gradients, or warm up. If it is no "
    "better then, look for data that are not numbers.",
}

#: What the number would be, by code or statistic.
USUAL = {
    "": "in a healthy run it would be about {null}",
    "nonfinite": "in a healthy run it is {null}",
    "level": "in a healthy run it is at most about {null}",
    "level_start": "in a healthy run it is at most about {null}",
    "trend_z": "for a loss that stays the same it would be about {null}",
    "converged": "where nothing is learnt it would be about {null}",
}

#: What the numbers are.
STATISTICS = {
    "nonfinite": "the number of losses that are inf or NaN",
    "level": "the loss at the end, divided by the lowest before it",
    "level_start": "the loss at the end, divided by that at the start",
    "level_top": "the lowest of the last losses, divided by the highest of the first",
    "regained": "how far the loss rose from its lowest, divided by how far it had fallen",
    "spike_rate": "the share of updates at which a spike begins",
    "chance_too_low": "the chance that the rate is too low",
    "chance_too_high": "the chance that the rate is too high",
    "trend_z": "the slope over its error",
    "lag1": "the correlation of the losses of neighbouring updates",
    "val_rise_z": "the rise of the validation loss over its error",
    "steps": "the number of losses",
    "late_share": "the share of the fall that the second half made",
    "longest_gap": "the longest gap",
    "rest": "the size of the gradients at the end, divided by that at the start",
    "count": "their number",
    "ratio": "the loss at the end, divided by that at the start",
}

#: What to do next, by code; empty where there is nothing to do.
ADVICE = {
    "diverged": "Go back to a state before update {start}, and use a third of the rate, or clip the "
    "gradients. A warm-up helps where it happens at the start.",
    "nonfinite": "Look at the batch of update {first}: data that are not numbers, a logarithm of 0, "
    "or a rate that is too high.",
    "spiking": "Clip the gradients (clip_norm), or lower the rate a little; look whether the same "
    "batches come back at the spikes.",
    "lr_too_high": "Use a third of the rate, or let it decay from here; probe_lr compares both from "
    "the same state.",
    "lr_too_low": "Use three times the rate; probe_lr compares both from the same state.",
    "oscillating": "Use a third of the rate, or a little less momentum. If your data have two "
    "batches in turn, it may be these.",
    "plateau": "Let the rate decay now: a tenth of it shows within a few hundred updates how much is "
    "noise. If the loss stays, the model has learnt what it can.",
    "overfitting": "Take the parameters of update {at}; then more data, augmentation or weight decay. "
    "The rate is not the cause.",
    "healthy": "Carry on.",
    "converged": "Stop here, or compare with another model; a longer run gains nothing.",
    "not_enough_data": "Train on, and ask again.",
    "inconclusive": "Ask the steps: Monitor(opt) measures what the loss alone does not show, and "
    "probe_lr tries a third and three times the rate.",
    "still_falling": "Train longer, or try three times the rate with probe_lr.",
    "falling": "",
    "settled": "The schedule has ended; more training needs a longer one. Whether another rate would "
    "have ended lower, only whole runs tell: lr_sweep.",
    "flat": "Probe at a third of the rate (probe_lr): if the loss falls further, it was too high.",
    "rising": "Probe at a third of the rate (probe_lr).",
    "never_fell": "Look whether the gradients reach the parameters, then find a rate with lr_find.",
    "gap": "",
    "unsorted_steps": "",
    "repeated_steps": "If two runs share this log, diagnose them one by one.",
    "outside_steps": "",
    "rate_jumps": "",
    "rate_unclear": "Compare with probe_lr; it tries a third and three times the rate.",
}

#: What speaks for a rate that is too low or too high: an input of its score.
EVIDENCE = {
    "drop": "the loss at the end is {value} of that at the start ({usual} in good runs)",
    "middle": "the loss of the third quarter is {value} of that of the second ({usual})",
    "late": "the loss of the last quarter is {value} of that of the third ({usual})",
    "early_high": "the highest loss of the first quarter is {value} of that at the start ({usual})",
    "cos": "the cosine between gradient and previous step is {value} ({usual} in good runs)",
    "slow": "little was learnt though the steps led downhill ({value}; -1 is nothing learnt, downhill all "
    "along; {usual} in good runs)",
    "gain": "the gain ratio, what a step gained by what its gradient promised, is {value} ({usual} "
    "in good runs)",
    "promise": "the gradients times the steps sum to {value} times the loss at the start ({usual} in "
    "good runs)",
    "grad_trend": "the gradients of the second quarter are {value} of those of the first ({usual})",
    "stride": "a step moves the parameters by {value} of their size ({usual} in good runs)",
}
#: Between two of them.
AND = "; "
