"""Parts of a network that training leaves as they are, by the names of their parameters."""

from collections.abc import Sequence

from torch import nn

from resect.errors import ResectError


class Frozen:
    """Holds parameters of a network fixed, and those of its modules that are wholly fixed in evaluation mode.

    Args:
        network: the network.
        names: parameters whose name begins with one of these are held, such as "backbone".
        keep: but those whose name contains one of these learn on.
    """

    def __init__(self, network: nn.Module, names: Sequence[str], keep: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        for name in names:
            if not any(parameter.startswith(name) for parameter, _ in network.named_parameters()):
                known = ", ".join(sorted({n.partition(".")[0] for n, _ in network.named_parameters()}))
                raise ResectError("freeze", f"the beginning of a parameter's name, e.g. {known}", repr(name))
        for name, parameter in network.named_parameters():
            held = name.startswith(self.names) and not any(word in name for word in keep) if self.names else False
            parameter.requires_grad_(not held and parameter.requires_grad)
        self._modules = [
            module
            for module in network.modules()
            if any(True for _ in module.parameters()) and not any(p.requires_grad for p in module.parameters())
        ]

    def still(self) -> None:
        """Puts what is wholly held into evaluation mode; to be called after `train()`."""
        for module in self._modules:
            module.eval()
