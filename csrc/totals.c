/* What a step measured, of all tensors together: the arithmetic of lrcore.Stats, operation for
 * operation. */
#include "plan.h"

#include <math.h>

/* How many elements of a tensor stand for each one whose step the trace keeps. */
static double weight(const lrc_plan *plan, const lrc_tensor *x)
{
    int64_t period = plan->trace_every * LRC_CHUNK, rest = x->n % period;
    int64_t kept = x->n / period * LRC_CHUNK + (rest < LRC_CHUNK ? rest : LRC_CHUNK);
    return (double)x->n / (double)(kept > 1 ? kept : 1);
}

void lrc_total(const lrc_plan *plan, lrc_totals *out)
{
    lrc_stats sum = {0};
    int64_t n = 0;
    for (int64_t i = 0; plan->stats && i < plan->n_tensors; i++) {
        const lrc_tensor *x = &plan->tensors[i];
        const lrc_stats *s = &plan->stats[i];
        if (s->divisor == 0 || isnan(s->divisor))
            continue;
        double part = weight(plan, x), sign = s->divisor < 0 ? -1 : 1;
        sum.grad2 += s->grad2;
        sum.param2 += s->param2;
        sum.step2 += s->step2 * part;
        sum.dot += s->dot * sign;
        sum.dot_grad2 += s->dot_grad2;
        sum.trace2 += s->trace2;
        sum.slope += s->slope * part * sign;
        sum.lost += s->lost * part;
        sum.divisor = fabs(s->divisor);
        n += x->n;
    }
    double turned = sum.dot_grad2 * sum.trace2;
    *out = (lrc_totals){NAN, NAN, NAN, NAN, NAN, NAN};
    if (sum.divisor != 0)
        *out = (lrc_totals){.grad_norm = sqrt(sum.grad2) / sum.divisor,
                            .step_norm = sqrt(sum.step2),
                            .param_norm = sqrt(sum.param2),
                            .cos = turned != 0 ? sum.dot / sqrt(turned) : NAN,
                            .slope = sum.slope / sum.divisor,
                            .lost = sum.lost / (double)n};
}
