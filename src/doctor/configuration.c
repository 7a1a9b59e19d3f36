#include "doctor/check.h"

void check_configuration(struct doctor *d)
{
	if (!d->faults)
		return;
	struct finding *f = found(d, DOCTOR_HINDERS, "the configuration has %u fault%s", d->faults,
				  d->faults == 1 ? "" : "s");
	because(f, "nothing starts before all of it makes sense; what else is told here is about "
		   "running jails alone");
	mend(f, "newgate check");
}
