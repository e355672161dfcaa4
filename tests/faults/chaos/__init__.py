"""Chaos: many jobs, few promises, and everything that can break breaking meanwhile. Run by `make faults`.

It stands among the tests of faults and not in bench/, because what it gives is a verdict, not a measure. It looks from
outside only: HTTP, the provider's ledger, the journals, the marks that tools left, and the logs; how the core keeps its
promises may change under it.

    plan      which faults, when and where: a function of the seed
    errands   which jobs, of whom, with which tools and cancels: a function of the seed
    fleet     the processes and the links between them
    strikes   a plan carried out on a fleet
    customer  hands in errands and follows them, patient as a good client is
    evidence  what there is to see when all has ended
    promises  what must hold of that, each a function that can fail
    report    the table, and the story of a job about which a promise was broken
"""
