from jaxopt_edu.core import *
from jaxopt_edu.value import *
from jaxopt_edu.optimizers import *
