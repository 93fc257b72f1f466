"""lrcore.torch inside the loops of accelerate, Lightning and transformers.

Each trains the same small model with our optimizer and with torch's, to the same parameters, and
goes on from its own checkpoint bit for bit.
"""

import copy

import pytest
from oracles.harness import framework

import lrcore
from lrcore import schedules

pytestmark = [
    pytest.mark.frameworks,
    # What the three have to say of each other, of the machine and of torch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:(?!lrcore)"),
]
torch = framework("torch")
framework("lrcore.torch")
optim = {"ours": lrcore.torch, "torch": torch.optim}


def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))


def loader():
    draw = torch.Generator().manual_seed(4)
    data = [torch.randn(64, width, generator=draw) for width in (6, 3)]
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), 8)


def params(net):
    return [p.detach().clone() for p in net.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(params(a), params(b), strict=True))


def error(ours, theirs):
    """The largest difference, relative to the largest element of its parameter."""
    pairs = zip(params(ours), params(theirs), strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


# ------------------------------------------------------------------------------- accelerate


class Accelerated:
    """Four micro-batches of eight, clipped by the norm of all, with a scheduler."""

    def __init__(self, library, **options):
        accelerate = framework("accelerate")
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        self.acc = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2, **options)
        net = model()
        opt = library.AdamW(net.parameters(), lr=0.05)
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 20)
        self.net, self.opt, self.data, self.sched = self.acc.prepare(net, opt, loader(), sched)

    def epoch(self):
        for x, y in self.data:
            with self.acc.accumulate(self.net):
                self.acc.backward(torch.nn.functional.mse_loss(self.net(x), y))
                if self.acc.sync_gradients:
                    self.acc.clip_grad_norm_(self.net.parameters(), 0.5)
                self.opt.step()
                self.sched.step()
                self.opt.zero_grad()


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_accelerate_trains_alike(precision):
    ours, theirs = (Accelerated(x, mixed_precision=precision) for x in optim.values())
    for run in (ours, theirs):
        run.epoch()
        run.epoch()
    assert error(ours.net, theirs.net) <= 1e-6
    assert error(ours.net, model()) > 0.1
    assert ours.sched.get_last_lr() == theirs.sched.get_last_lr()
    assert not ours.opt.step_was_skipped


def test_accelerate_goes_on_from_its_checkpoint(tmp_path):
    run = Accelerated(lrcore.torch)
    run.epoch()
    run.acc.save_state(tmp_path)
    run.epoch()
    once = copy.deepcopy(run.net)
    run.acc.load_state(tmp_path)
    assert not same(run.net, once)
    run.epoch()
    assert same(run.net, once)


# -------------------------------------------------------------------------------- Lightning


def lightning(make, epochs, path=None, *, manual=False, **options):
    """A module after some epochs, and its trainer; from a checkpoint where there is a path."""
    pl = framework("pytorch_lightning")

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.automatic_optimization = model(), not manual

        def training_step(self, batch, index):
            loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
            if manual:
                opt = self.optimizers()
                opt.zero_grad()
                self.manual_backward(loss)
                opt.step()
            return loss

        def configure_optimizers(self):
            return make(self.parameters())

    module = Module()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, loader(), ckpt_path=path, weights_only=None if path is None else True)
    return module, trainer


def cycled(library):
    def make(params):
        opt = library.AdamW(params, lr=0.05)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.05, total_steps=32)
        return [opt], [{"scheduler": sched, "interval": "step"}]

    return make


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_clip_val": 0.1}, {"accumulate_grad_batches": 2}, {"manual": True}],
    ids=str,
)
def test_lightning_trains_alike(options):
    ours, theirs = (lightning(cycled(x), 4, **options)[0] for x in optim.values())
    assert error(ours, theirs) <= 1e-6
    assert error(ours.net, model()) > 0.1


@pytest.mark.parametrize(
    "make",
    [
        cycled(lrcore.torch),
        lambda p: lrcore.torch.AdamW(p, lr=schedules.Cosine(0.05, steps=32, warmup=4), ema=0.9),
        lambda p: lrcore.torch.Prodigy(p, weight_decay=0.01),
    ],
    ids=["AdamW, torch's OneCycleLR", "AdamW, a schedule", "Prodigy"],
)
def test_lightning_goes_on_from_its_checkpoint(make, tmp_path):
    path = str(tmp_path / "half.ckpt")
    whole, _ = lightning(make, 4)
    half, trainer = lightning(make, 2)
    trainer.save_checkpoint(path)
    resumed, _ = lightning(make, 4, path)
    assert not same(half, whole)
    assert same(resumed, whole)


# ----------------------------------------------------------------------------- transformers


class Tokens(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, i):
        ids = torch.randint(0, 40, (12,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def trained(make, folder, **options):
    """A very small GPT-2 after 20 updates by a transformers.Trainer."""
    transformers = framework("transformers")
    framework("accelerate")
    transformers.set_seed(1)
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=12, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.0
    )
    net = transformers.GPT2LMHeadModel(config)
    arguments = transformers.TrainingArguments(
        str(folder),
        max_steps=20,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        save_steps=10,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    opt = make(
        [
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ]
    )
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1 - t / 20)
    trainer = transformers.Trainer(net, arguments, train_dataset=Tokens(), optimizers=(opt, sched))
    before = params(net)
    trainer.train(**options)
    assert not all(torch.equal(a, b) for a, b in zip(before, params(net), strict=True))
    return net


def test_transformers_trains_alike(tmp_path):
    """By SGD: Adam's first updates have the sign of gradients that are rounding errors, too."""
    made = [
        trained(lambda p, x=x: x.SGD(p, lr=0.1, momentum=0.9), tmp_path) for x in optim.values()
    ]
    assert error(*made) <= 1e-5


def test_transformers_goes_on_from_its_checkpoint(tmp_path):
    whole = trained(lambda p: lrcore.torch.AdamW(p, lr=0.01), tmp_path / "a")
    resumed = trained(
        lambda p: lrcore.torch.AdamW(p, lr=0.01),
        tmp_path / "b",
        resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-10"),
    )
    assert same(resumed, whole)
