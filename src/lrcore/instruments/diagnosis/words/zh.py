"""中文."""

#: How a finding is put together, how sure it is, and a diagnosis as a whole.
FRAME = {
    "finding": "{name}，{where}（{sure}）。{what}依据：{statistic}为 {value}；{usual}，"
    "判定界限为 {threshold}。",
    "note": "{name}，{where}。{what}",
    "where": "第 {start} 到 {stop} 步",
    "where_one": "第 {start} 步",
    "where_none": "记录为空",
    "verdict": "结论：{name}（{sure}），依据 {steps} 步的记录。",
    "verdict_one": "结论：{name}（{sure}），依据 {steps} 步的记录。",
    "advice": "建议：{advice}",
    "certain": "确定",
    "very_sure": "很有把握，{percent}%",
    "sure": "较有把握，{percent}%",
    "unsure": "仅为推测，{percent}%",
    "rate": "学习率：偏低 {too_low}%，合适 {good}%，偏高 {too_high}%。",
    "nothing": "没有发现异常。",
}

#: Verdicts and notes.
NAMES = {
    "diverged": "训练已发散",
    "spiking": "损失出现尖峰",
    "lr_too_high": "学习率偏高",
    "lr_too_low": "学习率偏低",
    "oscillating": "损失来回振荡",
    "plateau": "损失进入平台期",
    "overfitting": "模型过拟合",
    "healthy": "训练正常",
    "converged": "已经收敛",
    "not_enough_data": "数据不足",
    "inconclusive": "暂时无法判断",
    "nonfinite": "损失中有无效数值",
    "still_falling": "仍在下降",
    "falling": "正在下降",
    "flat": "没有变化",
    "settled": "学习率衰减后不再变化",
    "rising": "正在上升",
    "never_fell": "从未下降",
    "gap": "步数有缺口",
    "unsorted_steps": "步数顺序错乱",
    "repeated_steps": "步数重复",
    "outside_steps": "验证损失超出记录范围",
    "rate_jumps": "学习率有突变",
    "rate_unclear": "学习率处于临界区间",
}

#: What was seen, by code.
TEXT = {
    "diverged": "损失上升后没有再降下来：最低时为 {best}，最后为 {last}。",
    "nonfinite": "有 {count} 个损失是 inf 或 NaN，第一个出现在第 {first} 步。",
    "spiking": "有 {count} 个尖峰远高于前后的损失，平均每 {every} 步出现一次。",
    "lr_too_high": "每一步都迈过了头，超出了梯度所能支撑的距离：{evidence}。",
    "lr_too_low": "步子再大一些，收获会更多。{evidence}。",
    "oscillating": "损失隔步一升一降，幅度超出噪声所能解释的范围，且整体没有下降。",
    "plateau": "损失降到 {last} 后不再变化，参数只是在梯度噪声中来回摆动。",
    "overfitting": "验证损失在第 {at} 步达到最低值 {minimum}，此后升至 {now}，而训练损失仍在下降。",
    "healthy": "损失在下降，没有迹象表明学习率有问题。",
    "converged": "损失已从 {first} 降到 {last}，并稳定下来。",
    "not_enough_data": "至少需要 {least} 个损失值，才能把趋势和噪声区分开；现有 {steps} 个。",
    "inconclusive": "现有数据有不止一种解释。",
    "still_falling": "损失的下降速度与先前相当：可能学习率偏低，也可能训练得还不够久。",
    "falling": "损失在第 {start} 到 {stop} 步之间下降了 {change}。",
    "flat": "损失不升不降：可能已经收敛，也可能学习率太高，无法继续下降。",
    "settled": "损失不再变化，学习率也已降到原来的十分之一以下：这次训练到此为止。",
    "rising": "损失在第 {start} 到 {stop} 步之间上升了 {change}。",
    "never_fell": "损失最后仍停留在起点附近：学习率可能过低或过高，也可能参数根本没有得到训练，或者数据里没有可学的规律。",
    "gap": "有 {count} 处缺口，最长的跨越 {longest} 步，而通常间隔为 {usual} 步；其间的损失未知。",
    "unsorted_steps": "有 {count} 个步数顺序不对，已重新排序。",
    "repeated_steps": "有 {count} 个步数重复出现，每个只保留最后一个值。",
    "outside_steps": "有 {count} 个验证损失的步数不在记录之中，已忽略。",
    "rate_jumps": "学习率有 {count} 次在几步之内变化超过 2 倍，例如预热或突变；"
    "判断的是第 {start} 到 {stop} 步。",
    "rate_unclear": "从每一步的效果看，不止一种可能：偏低 {too_low}%，合适 {good}%，"
    "偏高 {too_high}%。{evidence}。",
}

#: What was seen and what to do, by code and statistic or place, where they differ from the above.
SPECIAL = {
    "diverged by nonfinite": "有 {count} 个损失是 inf 或 NaN，第一个出现在第 {start} 步。",
    "still_falling by chance_too_low": "损失仍在下降，走势像是学习率偏低，或者训练得还不够久。",
    "diverged at once": "把学习率降到三分之一，或者做梯度裁剪，或者加上预热。"
    "如果没有改善，检查数据里是否有无效数值。",
}

#: What the number would be, by code or statistic.
USUAL = {
    "": "正常训练时约为 {null}",
    "nonfinite": "正常训练时为 {null}",
    "level": "正常训练时最多约为 {null}",
    "level_start": "正常训练时最多约为 {null}",
    "trend_z": "损失保持不变时约为 {null}",
    "converged": "什么也没有学到时约为 {null}",
}

#: What the numbers are.
STATISTICS = {
    "nonfinite": "inf 或 NaN 损失的个数",
    "level": "最后的损失与此前最低损失之比",
    "level_start": "最后的损失与最初的损失之比",
    "level_top": "最后一段的最低损失与最初一段的最高损失之比",
    "regained": "损失从最低处回升的幅度与此前降幅之比",
    "spike_rate": "出现尖峰的步数占比",
    "chance_too_low": "学习率偏低的概率",
    "chance_too_high": "学习率偏高的概率",
    "trend_z": "斜率与其误差之比",
    "lag1": "相邻两步损失的相关系数",
    "val_rise_z": "验证损失的升幅与其误差之比",
    "steps": "损失值的个数",
    "late_share": "后半程在总降幅中的占比",
    "longest_gap": "最长的缺口",
    "rest": "最后的梯度大小与最初之比",
    "count": "个数",
    "ratio": "最后的损失与最初的损失之比",
}

#: What to do next, by code; empty where there is nothing to do.
ADVICE = {
    "diverged": "回到第 {start} 步之前的状态，把学习率降到三分之一，或者做梯度裁剪；"
    "如果一开始就发散，可以加上预热。",
    "nonfinite": "检查第 {first} 步的那批数据：可能数据里有无效数值，可能对 0 取了对数，"
    "也可能学习率太高。",
    "spiking": "做梯度裁剪（clip_norm），或者稍微调低学习率；再看看尖峰处是不是总是同样的数据。",
    "lr_too_high": "把学习率降到三分之一，或者从现在开始衰减；"
    "probe_lr 可以从同一状态出发比较两者。",
    "lr_too_low": "把学习率提高到三倍；probe_lr 可以从同一状态出发比较两者。",
    "oscillating": "把学习率降到三分之一，或者略微减小动量；"
    "如果数据只有两批轮流使用，也可能是它们造成的。",
    "plateau": "现在就让学习率衰减：降到十分之一，几百步之内就能看出有多少只是噪声。"
    "如果损失不再下降，说明模型已经学到了它能学的。",
    "overfitting": "采用第 {at} 步的参数；然后考虑增加数据、数据增强或权重衰减。问题不在学习率。",
    "healthy": "继续训练即可。",
    "converged": "可以停止训练，或者换一个模型比较；继续训练不会再有收获。",
    "not_enough_data": "继续训练一段时间，再来诊断。",
    "inconclusive": "看看每一步的效果：Monitor(opt) 能测到损失曲线看不出的信息，"
    "probe_lr 会试一试三分之一和三倍的学习率。",
    "still_falling": "训练得更久一些，或者用 probe_lr 试试三倍的学习率。",
    "falling": "",
    "settled": "学习率的衰减已经结束；要训练得更久，就要用更长的衰减计划。换一个学习率最终会不会更好，"
    "要用完整的训练来比较：lr_sweep。",
    "flat": "用 probe_lr 试试三分之一的学习率：如果损失继续下降，说明原来的学习率太高。",
    "rising": "用 probe_lr 试试三分之一的学习率。",
    "never_fell": "先确认梯度确实传到了参数，再用 lr_find 找一个学习率。",
    "gap": "",
    "unsorted_steps": "",
    "repeated_steps": "如果这份记录里混有两次训练，请分开诊断。",
    "outside_steps": "",
    "rate_jumps": "",
    "rate_unclear": "用 probe_lr 比较一下：它会试三分之一和三倍的学习率。",
}

#: What speaks for a rate that is too low or too high: an input of its score.
EVIDENCE = {
    "drop": "最后的损失是最初的 {value} 倍（合适时约为 {usual}）",
    "middle": "第三个四分之一段的损失是第二段的 {value} 倍（合适时约为 {usual}）",
    "late": "最后四分之一段的损失是前一段的 {value} 倍（合适时约为 {usual}）",
    "early_high": "前四分之一段的最高损失是最初的 {value} 倍（合适时约为 {usual}）",
    "cos": "梯度与上一步位移的夹角余弦为 {value}（合适时约为 {usual}）",
    "slow": "各步都在下坡，损失却几乎没有下降（得分 {value}；-1 表示一路下坡而毫无进展，合适时约为 {usual}）",
    "gain": "增益比，即一步的实际收获与梯度预期之比，为 {value}（合适时约为 {usual}）",
    "promise": "各步梯度与位移之积的总和是最初损失的 {value} 倍（合适时约为 {usual}）",
    "grad_trend": "第二个四分之一段的梯度是第一段的 {value} 倍（合适时约为 {usual}）",
    "stride": "每一步移动的距离是参数大小的 {value} 倍（合适时约为 {usual}）",
}
#: Between two of them.
AND = "；"
