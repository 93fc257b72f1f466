/* rules.def as data, for those who ask by name. */
#include "lrcore.h"

#define STATE(...) #__VA_ARGS__
#define NO_STATE ""
#define HYPER(...) #__VA_ARGS__
#define COUPLED LRC_COUPLED
#define DECOUPLED LRC_DECOUPLED
#define EITHER LRC_EITHER
#define INSIDE LRC_INSIDE
#define ELEMENT LRC_ELEMENT, 0, "", ""
#define TENSOR(sums, ...) LRC_TENSOR, sums, #__VA_ARGS__, ""
#define GROUP(sums, ...) LRC_GROUP, sums, #__VA_ARGS__, ""
#define FACTORED(sums, ...) LRC_FACTORED, sums, #__VA_ARGS__, ""
#define ROW LRC_ROW, 0, "", ""
#define MATRIX(...) LRC_MATRIX, 0, "", #__VA_ARGS__
#define RULE(name, NAME, ...) {#name, __VA_ARGS__},

const lrc_rule_info lrc_rules[LRC_RULES] = {
#include "rules.def"
};
