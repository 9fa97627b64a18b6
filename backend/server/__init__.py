# SPDX-License-Identifier: GPL-3.0-or-later
"""The service behind `mien serve`: jobs, uploads and answers over ZeroMQ."""
