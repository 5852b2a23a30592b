// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/sim.h"
static void setup(struct world *w) { workload_transfers.setup(w); }
static void next(struct client *c) { workload_transfers.next(c); }
static void replied(struct client *c, struct op *op) { workload_transfers.replied(c, op); }
static void check(struct world *w) { workload_transfers.check(w); }
const struct workload workload_chaos = {"chaos", setup, NULL, next, replied, check};
