# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconstruction side of Mien: media to takes. Never imports bpy."""

import os

# numpy's matrix products here are small, and its threads wait for each other by spinning: beside the other threads of
# this process they made a frame ten times slower. Read when numpy is imported, which is after this.
for _variable in ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# Matrix products add up in the same order whatever the number of threads and the kind of processor, so that a take does
# not depend on them. Read when torch's linear algebra is first used.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")
