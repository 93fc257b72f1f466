/* rules.def as data, for those who ask by name. */
#include "lrcore.h"

#define STATE(...) #__VA_ARGS__
#define HYPER(...) #__VA_ARGS__
#define COUPLED LRC_COUPLED
#define DECOUPLED LRC_DECOUPLED
#define INSIDE LRC_INSIDE
#define RULE(name, NAME, ...) {#name, __VA_ARGS__},

const lrc_rule_info lrc_rules[LRC_RULES] = {
#include "rules.def"
};
