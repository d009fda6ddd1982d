"""Functions of rows: what reduces over a named axis or gathers along it, from definition to kernels, as one mechanism.

``lower`` a formula into Stages, ``pull back`` a cotangent through them, ``shift`` by parameters whose derivative
vanishes, ``share`` what several passes need, ``schedule`` each stage as one scalar core in pair arithmetic.
"""
