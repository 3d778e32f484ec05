//! The demo's catalogue.

/// A product as it is written here.
pub(super) struct DemoProduct {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// In the store's currency.
    pub(super) price: &'static str,
    pub(super) stock: i64,
}

const fn product(name: &'static str, description: &'static str, price: &'static str, stock: i64) -> DemoProduct {
    DemoProduct { name, description, price, stock }
}

/// Products of several kinds; one is sold out.
#[rustfmt::skip]
pub(super) const CATALOGUE: &[DemoProduct] = &[
    // Kitchen
    product("Cast-iron skillet, 26 cm", "Pre-seasoned pan for hob, oven and open fire. It gets better with every steak.", "39.90", 42),
    product("Enamelled Dutch oven, 4.5 l", "Heavy lid, even heat, easy to clean: for stews, bread and Sunday roasts.", "119.00", 18),
    product("Chef's knife, 20 cm", "Full tang, carbon steel, walnut handle. Comes with a blade guard.", "74.50", 35),
    product("Paring knife, 9 cm", "Small, sharp and at home in any hand.", "18.90", 80),
    product("Acacia cutting board", "End-grain board with a juice groove and feet that don't slip. 40 × 28 cm.", "44.00", 27),
    product("Stainless mixing bowls, set of 3", "Nesting bowls of 1, 2 and 4 litres with lids that seal.", "29.90", 51),
    product("Digital kitchen scale", "Weighs up to 5 kg to the gram; runs for a year on one charge.", "24.95", 63),
    product("Silicone spatula set", "Three spatulas that stand 230 °C and scrape every corner.", "14.90", 120),
    product("Box grater", "Four blades, one handle, no wobble.", "17.50", 70),
    // Coffee and tea
    product("Pour-over coffee maker, 600 ml", "Borosilicate glass with a cork collar; takes paper or steel filters.", "27.50", 44),
    product("Hand coffee grinder", "Ceramic burr, 18 settings, 30 g hopper: from espresso to French press.", "49.00", 31),
    product("French press, 1 l", "Double-walled steel keeps coffee hot through a long breakfast.", "38.00", 39),
    product("Gooseneck kettle, 1 l", "Pours exactly where you look. For gas, induction and electric.", "45.90", 22),
    product("Stoneware mug, speckled", "Holds 350 ml, fits under the machine, goes into the dishwasher.", "12.50", 240),
    product("Espresso cups, set of 4", "Thick porcelain that keeps the crema warm. 80 ml each.", "21.90", 66),
    product("House blend coffee beans, 1 kg", "Chocolate and hazelnut, medium roast, roasted every Tuesday.", "22.00", 150),
    product("Single-origin Ethiopia, 250 g", "Washed Yirgacheffe: jasmine, bergamot, a long finish.", "11.50", 95),
    product("Darjeeling first flush, 100 g", "Whole leaf from one garden, picked in April.", "16.80", 58),
    // Home
    product("Linen duvet cover, 135 × 200 cm", "Stonewashed European flax, cool in summer and warm in winter.", "129.00", 16),
    product("Wool throw blanket", "Woven from recycled wool, 130 × 170 cm, with fringes.", "69.00", 29),
    product("Feather pillow, 80 × 80 cm", "Cotton cover, medium firm.", "34.90", 48),
    product("Beeswax pillar candle", "Burns for 60 hours and smells faintly of honey.", "15.90", 88),
    product("Terracotta plant pot, 18 cm", "Fired in one piece with its saucer.", "13.50", 110),
    product("Wall clock, 30 cm", "Silent movement, ash frame, numbers you can read from the sofa.", "54.00", 21),
    product("Jute door mat", "Takes the dirt of four boots. 45 × 75 cm.", "22.90", 57),
    product("Oak picture frame, A3", "Solid oak, real glass, hangs either way.", "32.00", 40),
    product("Laundry basket with lid", "Woven seagrass over a washable lining. 60 litres.", "47.50", 24),
    // Desk
    product("Dotted notebook, A5", "192 numbered pages that take a fountain pen. Lies flat.", "16.50", 180),
    product("Fountain pen, medium nib", "Brushed aluminium, piston filler, starts at once after weeks.", "42.00", 33),
    product("Blue-black ink, 50 ml", "Shades beautifully and is kind to pens.", "12.90", 76),
    product("Mechanical pencil, 0.5 mm", "Brass barrel that gets its own patina.", "28.00", 45),
    product("Desk lamp with dimmer", "Warm to cool light, no flicker, USB-C.", "64.90", 26),
    product("Felt desk mat", "Merino felt on cork, 80 × 35 cm.", "36.00", 38),
    product("Walnut monitor stand", "Lifts the screen by 12 cm and hides the keyboard.", "79.00", 14),
    product("Paper clips, tin of 200", "Copper-plated, in a tin worth keeping.", "7.90", 200),
    // Outdoors
    product("Insulated bottle, 750 ml", "Cold for a day, hot for half of one. Fits a bicycle cage.", "29.90", 130),
    product("Trekking backpack, 32 l", "Rain cover, hip belt, and pockets where you look for them.", "109.00", 19),
    product("Two-person tent", "Stands in four minutes, weighs 2.1 kg, keeps out a storm.", "219.00", 9),
    product("Down sleeping bag, 0 °C", "700 fill power, 980 g, with a two-way zip.", "189.00", 11),
    product("Head torch, 400 lm", "Red light, lock, and 40 hours on one charge.", "39.50", 52),
    product("Enamel camping mug", "Chips, dents and lasts for ever.", "9.90", 170),
    product("Folding pocket saw", "Cuts a wrist-thick branch in a minute.", "33.00", 36),
    product("Picnic blanket, waterproof", "Soft above, dry below, rolls up with a strap.", "37.90", 41),
    // Bicycle
    product("Bicycle bell, brass", "One ring, and they turn round smiling.", "19.90", 84),
    product("Frame pump with gauge", "Up to 8 bar, for both valves.", "31.50", 47),
    product("Multi-tool, 17 functions", "Everything from hex keys to a chain breaker in 160 g.", "34.90", 53),
    product("Rear light, rechargeable", "Brightens when you brake. Seen from 500 m.", "26.90", 68),
    product("Waxed canvas saddle bag", "Room for a tube, tools and a sandwich.", "48.00", 23),
    product("Folding lock, 85 cm", "Hardened steel links, quiet in its bracket.", "72.00", 30),
    product("Merino cycling socks", "Cool, quick to dry, and long enough.", "17.90", 140),
    // Games and books
    product("Wooden chess set", "Hand-turned boxwood pieces on a folding board.", "59.00", 17),
    product("Backgammon in a case", "Felt-lined, with cups that muffle the dice.", "49.90", 15),
    product("Puzzle, 1000 pieces: Harbour", "Cut thick, printed without glare, no two pieces alike.", "18.50", 73),
    product("Playing cards, linen finish", "Two decks in a box that closes with a click.", "11.90", 125),
    product("Field guide to garden birds", "240 species, with songs to listen to.", "24.00", 46),
    product("Bread: a baker's notebook", "Forty loaves, from the first starter to a crown for guests.", "32.50", 37),
    product("Atlas of quiet places", "One hundred corners of the world to walk to.", "45.00", 20),
    // Care
    product("Olive oil soap, 3 bars", "Cold-stirred and cured for half a year. No scent.", "13.90", 160),
    product("Boar bristle brush", "Pear wood, bound by hand.", "26.50", 32),
    product("Safety razor", "Weighty, balanced, and never needs plastic again.", "38.90", 49),
    product("Bath towel, organic cotton", "600 g/m², 70 × 140 cm, softer with every wash.", "27.90", 90),
    product("Cedar shoe trees", "Keep the shape, take the damp.", "23.90", 55),
    product("Beeswax boot polish", "Feeds leather and brings back its colour. 100 ml.", "9.50", 105),
    product("Hand cream, 75 ml", "Shea butter and almond oil; gone in a minute, felt for hours.", "8.90", 0),
];
