/* What the rate learns from its hypergradient. Baydin, Cornish, Martinez Rubio, Schmidt & Wood 2018,
 * "Online Learning Rate Adaptation with Hypergradient Descent", with d the direction of the step
 * before and sums over each group:
 *
 *     eta = eta + hyper_lr <g, d>
 *     eta = eta (1 + hyper_lr <g, d> / (|g| |d|))      multiplicative
 *
 * What is kept is the sum or the product of all that: eta = (lr + shift) factor, so that lr may be a
 * schedule. Where lr is 0, so is eta. Tensors take it by its ratio to lr, since they may scale that.
 * Measured are <g, d> and, for the multiplicative form, <g, g> and <d, d>. */
static double held(double learned, double before, double least)
{
    double bound = before < least ? before : least; /* a schedule may have gone below the floor */
    if (learned - learned != 0)                     /* where a gradient was infinite */
        return before;
    return learned >= bound ? learned : bound;
}

static void learn(const hyper_t *h, const lrc_seen *seen, scalars_t *k)
{
    double dot = seen->sum[0], norms = sqrt(seen->sum[1]) * sqrt(seen->sum[2]);
    if (k->begun == 0)
        k->begun = k->factor = 1;
    double base = h->lr + k->shift;
    if (h->multiplicative == 0 && k->factor > 0)
        k->shift = held(k->shift + h->hyper_lr * dot, k->shift, h->floor / k->factor - h->lr);
    else if (h->multiplicative != 0 && norms > 0 && base > 0)
        k->factor = held(k->factor * (1 + h->hyper_lr * (dot / norms)), k->factor, h->floor / base);
    k->eta = (h->lr + k->shift) * k->factor;
    k->eta = k->eta >= h->floor ? k->eta : h->floor;
    k->ratio = h->lr > 0 ? k->eta / h->lr : 0;
    if (k->ratio - k->ratio != 0 || h->lr == 0)
        k->eta = k->ratio = 0;
}

static void to_learn(const real *g, const real *d, int norms, factors_t *factors)
{
    const real *a = norms ? g : NULL, *b = norms ? d : NULL;
    factors[0] = (factors_t){g, d};
    factors[1] = (factors_t){a, a};
    factors[2] = (factors_t){b, b};
}
