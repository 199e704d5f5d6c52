"""Words with which an assistant hands over what it was asked to write, or speaks of itself.

Hand-overs that come again and again are found by their form (``openings``); these are of single texts.
"""

ASSENT = r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|yes|good|はい)\s*(?:[,.!:;–—、]+\s*)?)?"
UP_TO = r"(?:[\w'’-]+\s+){0,5}?"
# A word for the text itself, after "an example of a …". Only "text" and its like are never the matter of a text.
WRITING = r"(?:texts?|exemplars?|sentences?|paragraphs?|passages?)"
_MESSAGE = (
    r"(?:messages?|repl(?:y|ies)|responses?|answers?|e-?mails?|reviews?|comments?|posts?|notes?|letters?|titles?)"
)
_CLOSE = r"\s*(?:[:.!,]|$)"
_TAIL = (
    rf"(?:{_CLOSE}|\s+of\s+(?:an?\s+|the\s+|some\s+)?(?:[\w'’-]+\s+){{0,3}}?{WRITING}\b"
    rf"|\s+of\s+(?:an?|some)\s+(?:[\w'’-]+\s+){{1,3}}?{_MESSAGE}{_CLOSE}"
    r"|\s+(?:that|which)\s+(?:is|are|reads?|sounds?|meets?|fits?|match(?:es)?)\b|\s+as\s+requested|\s+of\s+what\s+you\b)"
)

# Each ends where the handing over does, or names a text: "Here is an example of how to rotate a key" hands over none.
_ENGLISH = (
    rf"here(?:['’]s|\s+is|\s+are|\s+you\s+go)\W*\s(?:"
    rf"(?:an?|some|one|two|three|four|five|\d+)\s+{UP_TO}(?:texts?|exemplars?|rewrites?|paraphrases?)\b(?!\s+messages?)"
    rf"|(?:an?|some|one|two|three|four|five|\d+)\s+{UP_TO}(?:examples?|samples?|versions?){_TAIL}"
    rf"|(?:the|your)\s+{UP_TO}(?:texts?|examples?|exemplars?|rewrites?)\s*(?::|$|as\s+requested|you\s+(?:asked|requested))"
    rf"|(?:the|your)\s+(?:rewritten|revised|rephrased|improved|requested)\s+{UP_TO}\w+\s*:)"
)
_JAPANESE = (
    r"(?:以下|次|下記|こちら)[はがにの、](?:[^。！？\n]{0,20}?(?:文|文章|テキスト|メッセージ|返信|返答|レビュー|コメント|メール)の)?"
    r"(?:例文?|文例|サンプル|文章|テキスト)(?:です|になります|となります|を(?:示|紹介|挙げ|作成|用意|ご))"
)
# What is called an example in other languages, in a phrase that ends in a colon ("Oto przykład: …"); what is called a
# text, after a yes ("Gerne! Hier ist ein Text: …"), since people write of texts too.
_NAMED = (
    r"(?=\w)(?:[^.。:：\n]{2,50}?(?:\b(?:beispiel\w*|exempl[eo]s?|ejemplos?|esemp\w+|voorbeeld\w*|przykład\w*|пример\w*"
    r"|örne\w+)\b|示例|例子|样例|[範范]例|예시|예문|उदाहरण|مثال|أمثلة)|[^.。:：,，!！、،\n]{1,20}[,，!！、،][^.。:：\n]{2,50}?(?:\b(?:(?-i:Text)"
    r"|textes?|textos?|testo|tekst|текст|metin|metni)\b|文本|텍스트|पाठ|نص))[^.。:：\n]{0,40}[:：]"
)
HANDING_OVER = rf"{ASSENT}(?:{_ENGLISH}|{_JAPANESE})|{_NAMED}"
# As an AI, as a language model: followed by what a role is followed by, since "as an AI researcher" is one too.
AS_AN_AI = (
    r"\bas\s+an?\s+(?:(?:ai|artificial\s+intelligence)(?:\s+(?:language\s+)?(?:model|assistant|chatbot|system))?"
    r"|(?:large\s+)?language\s+model|(?:virtual|helpful|digital)\s+assistant|assistant)(?=\s*[,.;:!)]|\s+(?:i|we)\b|$)"
    r"|\bals\s+(?:(?:eine?\s+)?(?:ki|künstliche\s+intelligenz)(?:-\w+)?|(?:ein\s+)?sprachmodell)(?=\s*[,.]|\s+\w+\s+ich\b)"
    r"|\ben\s+tant\s+qu(?:e\s+|['’]\s*)(?:(?:une?\s+)?(?:ia|intelligence\s+artificielle)|(?:un\s+)?modèle\s+de\s+langage)\b"
    r"|\bcomo\s+(?:una?\s+|uma?\s+)?(?:ia|inteligencia\s+artificial|inteligência\s+artificial|modelo\s+de\s+(?:lenguaje|linguagem))"
    r"(?=\s*,)"
    r"|\b(?:come|in\s+quanto)\s+(?:un['’]?\s*)?(?:ia|intelligenza\s+artificiale|modello\s+(?:linguistico|di\s+linguaggio))(?=\s*,)"
    r"|\bals\s+(?:een\s+)?(?:ai|taalmodel)(?=\s*,|\s+\w+\s+ik\b)|\bjako\s+(?:model\s+językowy|sztuczna\s+inteligencja)\b"
    r"|\b(?:как|будучи)\s+(?:ии|искусственный\s+интеллект|языков(?:ая|ой)\s+модель\w*)\b"
    r"|\b(?:yapay\s+zeka|dil\s+modeli)\s+olarak\b|作[为為]一?[个個]?(?:ai|人工智[能慧]|(?:大型)?[语語]言模型)"
    r"|(?:ai|人工知能|言語モデル)(?:アシスタント)?(?:として|ですので)|(?:ai|인공지능|언어\s?모델)(?:로서|으로서)"
    r"|(?:एआई|भाषा\s+मॉडल)\s+(?:मॉडल\s+)?के\s+रूप\s+में|(?:بصفتي|كوني)\s+(?:نموذج|ذكاء)"
)
