# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging reconstruction methods by the emotion that their parameters keep (EMOCA, section 4).

docs/evaluation.md describes the files.
"""
