/* Schedule-free averaging. Defazio, Yang, Mehta, Mishchenko, Khaled & Cutkosky 2024, "The Road Less
 * Scheduled", equations 3 to 5 with the weights of algorithm 1. Trained is y, evaluated the average x:
 *
 *     z = z - lr_t u                          lr_t rises linearly over warmup_steps
 *     x = (1 - share) x + share z             share = w / sum of all w,  w = t^r max(lr)^weight_lr_power
 *     y = (1 - beta) z + beta x
 *
 * x is not kept: with x = (y - (1 - beta) z) / beta of the step before, whose beta may have been
 * another, and change = beta / (that beta),
 *
 *     y = keep y + (1 - keep) z - lr_t (1 - beta (1 - share)) u,   keep = change (1 - share)
 */
static double rate(const hyper_t *h, int64_t t)
{
    double steps = (double)t;
    return steps < h->warmup_steps ? h->lr * (steps / h->warmup_steps) : h->lr;
}

static void weigh(const hyper_t *h, double beta, const lrc_seen *seen, scalars_t *k)
{
    double lr = rate(h, seen->t);
    k->lr_max = lr > k->lr_max ? lr : k->lr_max;
    double w = lrc_pow((double)seen->t, h->r) * lrc_pow(k->lr_max, h->weight_lr_power);
    k->weight_sum = k->weight_sum + w;
    k->share = w > 0 ? w / k->weight_sum : 0;
    k->change = k->beta > 0 ? beta / k->beta : 1;
    k->beta = beta;
}

struct mixture {
    real keep, pull, lr, step;
};

static struct mixture mixture_of(const hyper_t *h, int64_t t, const scalars_t *k)
{
    double lr = rate(h, t), old = 1 - k->share;
    return (struct mixture){.keep = (real)(k->change * old),
                            .pull = (real)(k->share + old * (1 - k->change)),
                            .lr = (real)lr,
                            .step = (real)(lr * (1 - k->beta * old))};
}
